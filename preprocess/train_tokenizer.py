"""Make a tokenizer from text."""

from dslm.commands.main import command
from dslm.commands.run import script

if __name__ == "__main__":  # workers import this file again
    script(command("train-tokenizer"))
