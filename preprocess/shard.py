"""Turn text into shards that training reads."""

from dslm.commands.cli import script
from dslm.commands.main import command

if __name__ == "__main__":  # workers import this file again
    script(command("shard"))
