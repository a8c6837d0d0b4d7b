"""Make a tokenizer from text."""

from dslm.commands.run import script
from dslm.commands.train_tokenizer import main

if __name__ == "__main__":  # workers import this file again
    script(main)
