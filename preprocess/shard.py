"""Turn text into shards that training reads."""

from dslm.commands.run import script
from dslm.commands.shard import main

if __name__ == "__main__":  # workers import this file again
    script(main)
