"""Measure a trained model on held-out text; see ``--help``."""

from dslm.commands.main import command
from dslm.commands.run import script

if __name__ == "__main__":
    script(command("evaluate"))
