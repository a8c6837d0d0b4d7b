"""Train a model; see ``--help``."""

from dslm.commands.cli import script
from dslm.commands.main import command

if __name__ == "__main__":
    script(command("pretrain"))
