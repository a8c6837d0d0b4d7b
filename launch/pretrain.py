"""Train a model; see ``--help``."""

from dslm.commands.pretrain import main
from dslm.commands.run import script

if __name__ == "__main__":
    script(main)
