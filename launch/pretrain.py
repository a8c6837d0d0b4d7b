"""Train a model; see ``--help``."""

from dslm.commands.main import command
from dslm.commands.run import script

if __name__ == "__main__":
    script(command("pretrain"))
