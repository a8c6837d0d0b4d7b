"""Check a run and submit it to SLURM; see ``--help``."""

from dslm.commands.cli import script
from dslm.commands.main import command

if __name__ == "__main__":
    script(command("submit"))
