"""Every error that the library raises on purpose, and how the user sees it.

    DslmError                 anything dslm raises deliberately
    ├── UserError             the user can fix it: exit code 2, one line for each problem
    │   ├── ConfigError       a key or a value of a configuration
    │   ├── DataError         a text, a tokenizer or a shard set
    │   ├── CheckpointError   a run folder or a checkpoint
    │   └── SetupError        the machine: compiler, disk, MPI
    ├── TrainingError         the run itself went wrong, on all ranks alike: exit code 1
    │   ├── RankError         on this rank alone
    │   └── PeerError         on another rank, which knows why
    ├── CapacityError         a right plan needs more than the machine has: exit code 1
    └── ReportedError         the user has read it already: nothing but the exit code is left

A check returns a list of `Problem` and does not raise; its caller joins the lists of all checks and
raises once, so that all mistakes are reported at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """One mistake, reported so that it can be fixed without looking anything up.

    ``Problem("model.heads", 5, "does not divide model.width = 128", "use 4 or 8")`` reads
    ``model.heads = 5: does not divide model.width = 128; use 4 or 8``.
    """

    where: str
    """The key, or the path of the file."""
    found: Any
    """The value found there; `None` when there is none to show."""
    rule: str
    """What was expected instead."""
    fix: str = ""
    """What to type or to do."""

    def __str__(self) -> str:
        value = "" if self.found is None else f" = {self.found!r}"
        fix = f"; {self.fix}" if self.fix else ""
        return f"{self.where}{value}: {self.rule}{fix}"


class DslmError(Exception):
    """Anything dslm raises on purpose."""


class UserError(DslmError):
    """One or more mistakes that the user can fix.

    Args:
        problems: at least one; each becomes a line of the message.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class ConfigError(UserError):
    """A key or a value of a configuration cannot be used."""


class DataError(UserError):
    """A text, a tokenizer or a shard set cannot be used."""


class CheckpointError(UserError):
    """A run folder or a checkpoint cannot be used."""


class SetupError(UserError):
    """The machine lacks something that the run needs."""


class TrainingError(DslmError):
    """The run failed in a way that no check could foresee."""


class RankError(TrainingError):
    """The run failed on this rank, for a reason of its own."""


class PeerError(TrainingError):
    """The run failed on another rank, which reports the reason."""


class CapacityError(DslmError):
    """What was planned is right, but does not fit the machine."""


class ReportedError(DslmError):
    """What ended this process has been reported, by this rank or another.

    Args:
        code: the exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Problems:
    """Collects the problems of steps that raise, so that one mistake hides no other."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def collect(self, step: Callable[P, T], *args: P.args, **named: P.kwargs) -> T | None:
        """The result of a step, or `None` when it raised."""
        try:
            return step(*args, **named)
        except UserError as error:
            self.problems += error.problems
            return None


def suggest(word: object, options: Iterable[object], otherwise: str = "") -> str:
    """The fix for a misspelt word: the nearest of the options.

    Args:
        word: what was found.
        options: what would have been right.
        otherwise: the fix when nothing is near.
    """
    near = nearest(word, options)
    return otherwise if near is None else f"did you mean {near!r}?"


def nearest(word: object, options: Iterable[object]) -> str | None:
    """The option that a misspelt word most likely means; case, ``-`` and ``_`` do not count.

    Args:
        word: what was found.
        options: what would have been right.
    """
    named = {_plain(option): str(option) for option in options}
    near = difflib.get_close_matches(_plain(word), named, n=1)
    return named[near[0]] if near else None


def _plain(word: object) -> str:
    return str(word).lower().replace("-", "_")
