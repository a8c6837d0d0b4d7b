"""Turn text into shards that training reads."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from dslm.commands.start import start

if __name__ == "__main__":  # workers import this file again
    start("shard")
