"""The commands: each module parses its arguments, calls one function and prints the result.

``launch/`` and ``preprocess/`` hold a thin script for each; ``dslm COMMAND`` reaches the same ones.
"""
