"""Make a tokenizer from text."""

from dslm.commands.cli import script
from dslm.commands.main import command

if __name__ == "__main__":  # workers import this file again
    script(command("train-tokenizer"))
