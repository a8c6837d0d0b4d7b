"""``python -m dslm COMMAND …``: the same as ``dslm COMMAND …``."""

from dslm.commands.main import main

if __name__ == "__main__":
    main()
