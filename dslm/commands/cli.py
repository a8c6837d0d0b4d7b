"""How every command starts and ends: arguments in, exit code out, one line for each mistake.

Exit codes: 0 done, 2 the user's mistake, 1 anything else, 130 interrupted. Results go to standard
output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from dslm.errors import ConfigError, DslmError, Problem, ReportedError, UserError, suggest


class Parser(argparse.ArgumentParser):
    """An argument parser that never guesses: no abbreviations, and near names suggested."""

    def __init__(self, prog: str, description: str, **settings: object) -> None:
        super().__init__(
            prog=prog,
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **settings,  # type: ignore[arg-type]
        )

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """Parse, and suggest the nearest name for each unknown option."""
        found, unknown = self.parse_known_intermixed_args(args, namespace)
        if unknown:
            names = [name for action in self._actions for name in action.option_strings]
            options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
            words = options or unknown  # what follows an unknown option is most likely its value
            fix = f"see {self.prog} --help"
            raise UserError(
                *(Problem(w, None, "unknown argument", suggest(w, names, fix)) for w in words)
            )
        return found

    def error(self, message: str) -> NoReturn:
        """Report a mistake in the arguments as all others are."""
        raise UserError(Problem(self.prog, None, message, "see --help"))


def script(main: Callable[[list[str]], None]) -> NoReturn:
    """Run a command with this process's arguments and end the process with its exit code."""
    sys.exit(run(main, sys.argv[1:]))


def run_verb(
    name: str,
    description: str,
    verbs: Mapping[str, Callable[[list[str]], None]],
    arguments: list[str],
    renamed: Mapping[str, str] | None = None,
) -> None:
    """Run the verb that the first argument names; without one, print the help.

    Args:
        name: the command.
        description: what is printed as its help.
        verbs: what each of its verbs does.
        arguments: the verb and what follows it.
        renamed: today's name of each verb that had another one.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(description, end="")
        return
    verb = (renamed or {}).get(arguments[0], arguments[0])
    if verb not in verbs:
        fix = suggest(verb, verbs, f"choose from {', '.join(verbs)}")
        raise ConfigError(Problem(name, verb, "there is no such verb", fix))
    verbs[verb](arguments[1:])


def run(main: Callable[[list[str]], None], arguments: list[str]) -> int:
    """Run a command and turn what it raises into an exit code and lines on standard error."""
    try:
        main(arguments)
    except (DslmError, BrokenPipeError, KeyboardInterrupt) as error:
        return explain(error)
    return 0


def explain(error: BaseException) -> int:
    """Print an exception for the user; returns the exit code for it."""
    if isinstance(error, ReportedError):
        return error.code
    if isinstance(error, UserError):
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr, flush=True)
        return 2
    if isinstance(error, DslmError):
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader of our output has gone (`| head`)
        return 1
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr, flush=True)
        return 130
    traceback.print_exception(error)
    return 1
