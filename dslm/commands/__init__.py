"""The commands: each module parses its arguments, calls one function and prints the result.

``dslm COMMAND`` runs them, and so do the thin scripts in ``launch/`` and ``preprocess/``. A new
command is one module here with a ``main`` and one line in `main.COMMANDS`.
"""
