"""How every command starts and ends: arguments in, exit code out, one line for each mistake.

Exit codes: 0 done, 2 the user's mistake, 1 anything else, 130 interrupted. A run of training that
is asked to stop saves and ends with 0, see `dslm.signals`. Results go to standard output,
everything else to standard error.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from dslm.environment import error_file
from dslm.errors import (
    ConfigError,
    DslmError,
    Problem,
    Problems,
    ReportedError,
    SetupError,
    UserError,
    suggest,
)
from dslm.launchers import leave_message

MISSING = "the following arguments are required: "
COMPLAINT = re.compile(r"argument ([^:]+): (.+)", re.DOTALL)


def typed_path(text: str) -> Path:
    """A path as it is typed, also within quotes, where no shell replaces ``~``."""
    return Path(os.path.expanduser(text))


def typed_step(text: str) -> int | Literal["best"]:
    """The step of a checkpoint, or ``best``."""
    return "best" if text == "best" else int(text)


KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    typed_step: "a whole number, or best",
}
"""What the value of an option is called, by its type."""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help that gives the default of each option."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        said = default is None or default is False or default in ("", [], argparse.SUPPRESS)
        return text if said or "default" in text else f"{text} (default %(default)s)".lstrip()


class Parser(argparse.ArgumentParser):
    """An argument parser that never guesses.

    Args:
        prog: the command.
        description: what it is for.
        example: a line to copy; shown below the options.
        text: the option whose value is a text of several words.
        settings: as for `argparse.ArgumentParser`.
    """

    def __init__(
        self, prog: str, description: str, example: str = "", text: str = "", **settings: Any
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"example:\n  {example}" if example else None,
            allow_abbrev=False,
            formatter_class=_Help,
            **settings,
        )
        self._text = text
        self._found, self._unusable = Problems(), set[str]()

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        """The options.

        Raises:
            UserError: with every mistake in them.
        """
        options, found = self.parse_with_problems(args)
        if found.problems:
            raise UserError(*found.problems)
        return options

    def parse_with_problems(
        self, args: Sequence[str] | None = None
    ) -> tuple[argparse.Namespace, Problems]:
        """The options, and what is wrong with them: those are `None`.

        Raises:
            UserError: the words cannot be told apart.
        """
        self._found, self._unusable = Problems(), set[str]()
        read: Any = self.parse_known_intermixed_args(args)
        if read is None:  # Python 3.13 reads no further once an argument is missing
            raise UserError(*self._found.problems)
        options, unknown = read
        vars(options).update(dict.fromkeys(self._unusable))
        self._found.problems += self._unknown(options, unknown)
        return options, self._found

    def options(self) -> dict[str, bool]:
        """Each option by its name, and whether it takes a value."""
        return {
            name: action.nargs != 0 for action in self._actions for name in action.option_strings
        }

    def error(self, message: str) -> None:  # type: ignore[override]
        """Report a mistake in the arguments as all others are."""
        if message.startswith(MISSING):
            for name in message.removeprefix(MISSING).split(", "):
                self._note(Problem(name, None, "is missing", self._see()))
            return
        complaint = COMPLAINT.fullmatch(message)
        where, rule = complaint.groups() if complaint else (self.prog, message)
        raise UserError(*self._found.problems, Problem(where, None, rule, self._see()))

    def _see(self) -> str:
        return f"see {self.prog} --help"

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """The value of an option; `None` where it is none, which is noted."""
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            name, kind = _name(action), KINDS.get(action.type)
            problem = Problem(name, None, error.message, self._see())
            self._note(Problem(name, arg_string, f"must be {kind}") if kind else problem)
            return None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Note a value that is none of those to choose from."""
        if value is not None and action.choices is not None and value not in action.choices:
            options = ", ".join(map(str, action.choices))
            fix = suggest(value, action.choices, f"choose from {options}")
            self._note(Problem(_name(action), value, "there is no such one", fix))
            self._unusable.add(action.dest)

    def _note(self, problem: Problem) -> None:
        """Note a mistake; once, as Python 3.13 may read the arguments twice."""
        if problem not in self._found.problems:
            self._found.problems.append(problem)

    def _unknown(self, options: argparse.Namespace, words: list[str]) -> list[Problem]:
        """What is wrong with words that no option takes."""
        names = self.options()
        options_typed = [word.partition("=")[0] for word in words if word.startswith("-")]
        unknown = [name for name in options_typed if name not in names]
        if words and not options_typed and self._text:
            given = getattr(options, self._text.strip("-").replace("-", "_"))
            text = " ".join([*([given] if given else []), *words])
            rule = "is not part of an option: a text of several words needs quotes"
            return [Problem(" ".join(words), None, rule, f"write {self._text} {shlex.quote(text)}")]
        # What follows an unknown option is most likely its value.
        return [
            Problem(word, None, "unknown argument", suggest(word, names, self._see()))
            for word in (unknown if options_typed else words)
        ]


def _name(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else str(action.metavar or action.dest)


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
    """Run a command and turn what it raises into an exit code and lines on standard error.

    What it prints may hold paths that are no Unicode; these are printed as they are.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        main(arguments)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "dslm":
            raise
        return explain(not_installed(error.name))
    except (DslmError, BrokenPipeError, KeyboardInterrupt) as error:
        return explain(error)
    return 0


def not_installed(name: str) -> SetupError:
    """The mistake of running dslm with a Python that lacks a package."""
    rule = f"is not installed for {sys.executable}"
    fix = "activate the environment (. .venv/bin/activate) or install dslm (pip install -e .)"
    return SetupError(Problem(name.partition(".")[0], None, rule, fix))


def explain(error: BaseException) -> int:
    """Print an exception for the user; returns the exit code for it."""
    if isinstance(error, ReportedError):
        return error.code
    if isinstance(error, DslmError):
        lines = error.problems if isinstance(error, UserError) else (error,)
        text = "\n".join(f"error: {line}" for line in lines)
        print(text, file=sys.stderr, flush=True)
        if (file := error_file()) is not None:
            leave_message(file, text)
        return 2 if isinstance(error, UserError) else 1
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader of our output has gone (`| head`)
        return 1
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr, flush=True)
        return 130
    traceback.print_exception(error)
    return 1
