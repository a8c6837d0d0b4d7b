"""How the scripts begin: under any Python, also one that lacks what dslm needs.

Neither this module nor what it imports at once needs more than Python itself, of any version.
"""

import sys

NEEDED = (3, 10)
"""The oldest Python that dslm runs on."""


def start(name: str) -> None:
    """Run a command with this process's arguments and end the process with its exit code.

    Args:
        name: a key of `dslm.commands.main.COMMANDS`.
    """
    if sys.version_info < NEEDED:
        here, least = (".".join(map(str, version[:2])) for version in (sys.version_info, NEEDED))
        sys.exit(_refused("Python " + here, "is too old: dslm needs " + least + " or newer"))
    from dslm.commands.cli import script
    from dslm.commands.main import command

    script(command(name))


def _refused(what: str, rule: str) -> int:
    sys.stderr.write("error: " + what + ": " + rule + "\n")
    return 2
