"""Train a model for a task; see ``--help``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from dslm.commands.start import start

if __name__ == "__main__":
    start("fine-tune")
