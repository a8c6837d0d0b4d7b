"""Gather Python's standard library as a small corpus."""

from dslm.commands.builtin_corpus import main
from dslm.commands.run import script

if __name__ == "__main__":  # workers import this file again
    script(main)
