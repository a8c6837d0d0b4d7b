"""Let a trained model continue a text; see ``--help``."""

from dslm.commands.main import command
from dslm.commands.run import script

if __name__ == "__main__":
    script(command("generate"))
