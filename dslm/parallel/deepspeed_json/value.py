"""What one key of DeepSpeed's JSON may hold, and how to say so.

A value on its way: `accepts` tells whether it may stand, `str` of the kind completes the sentence
"must be …", and `mend` finds what was most likely meant (``8`` for ``"8"`` or ``8.0``, ``true`` for
``1``). JSON's own types are kept apart, as DeepSpeed does not: true is no number, 1 is no flag.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class ValueType:
    """What a key may hold."""

    null: bool = False
    """Whether null, DeepSpeed's word for its own default, may stand as well."""

    def accepts(self, value: Any) -> bool:
        """Whether the value may stand as it is written."""
        return (self.null and value is None) or self._holds(value)

    def _holds(self, value: Any) -> bool:
        raise NotImplementedError


@dataclass(frozen=True)
class Flag(ValueType):
    """True or false."""

    def _holds(self, value: Any) -> bool:
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Text(ValueType):
    """Any text."""

    def _holds(self, value: Any) -> bool:
        return isinstance(value, str)

    def __str__(self) -> str:
        return "text"


@dataclass(frozen=True)
class Number(ValueType):
    """A number, whole or not, within bounds."""

    whole: bool = False
    exponent: bool = False
    """Whether a whole number may be written as 5e8, which JSON reads as a fraction."""
    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def _holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if self.whole and isinstance(value, float) and not (self.exponent and value.is_integer()):
            return False
        return self.least <= value <= self.most and (self.above < value < self.below)

    def __str__(self) -> str:
        bounds = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        limits = [f"{word} {bound}" for word, bound in bounds.items() if math.isfinite(bound)]
        name = "a whole number" if self.whole else "a number"
        return ", ".join([name, " and ".join(limits)]).strip(", ")


@dataclass(frozen=True)
class OneOf(ValueType):
    """One of a few values."""

    options: tuple[Any, ...] = ()

    def _holds(self, value: Any) -> bool:
        return any(type(value) is type(option) and value == option for option in self.options)

    def __str__(self) -> str:
        return " or ".join(json.dumps(option) for option in self.options)


@dataclass(frozen=True)
class Many(ValueType):
    """A list of values of one kind."""

    of: ValueType = Text()
    length: int | None = None

    def _holds(self, value: Any) -> bool:
        right_length = isinstance(value, list) and self.length in (None, len(value))
        return right_length and all(self.of.accepts(item) for item in value)

    def __str__(self) -> str:
        count = "" if self.length is None else f"{self.length} values, "
        return f"a list of {count}each {self.of}"


@dataclass(frozen=True)
class Either(ValueType):
    """A value of the one kind or of the other."""

    first: ValueType = Text()
    second: ValueType = Text()

    def _holds(self, value: Any) -> bool:
        return self.first.accepts(value) or self.second.accepts(value)

    def __str__(self) -> str:
        return f"{self.first}, or {self.second}"


def nullable(kind: ValueType) -> ValueType:
    """The same kind, with null."""
    return replace(kind, null=True)


def mend(kind: ValueType, value: Any) -> str:
    """The fix for a value that the kind does not accept: what was most likely meant.

    Returns:
        ``write …``, or nothing when no guess is better than the rule itself.
    """
    likely = (guess for guess in _guesses(value) if kind.accepts(guess))
    return next((f"write {json.dumps(guess)}" for guess in likely), "")


def _guesses(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        yield value.lower()
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(value.lower())
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    if value in (0, 1) and not isinstance(value, bool):
        yield bool(value)
    yield [value]
