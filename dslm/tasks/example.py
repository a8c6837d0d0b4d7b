"""What a record of labelled data becomes, and what is predicted for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Record = Mapping[str, Any]
"""A record of labelled data: values by the names of its fields."""


Between = Callable[[int, int], str]
"""The text of an example from one of its labelled tokens to before another."""


class UnusableError(ValueError):
    """A record that is no example of a task; the message is the reason, a few words."""


@dataclass(frozen=True)
class Example:
    """What a record becomes."""

    ids: list[int]
    """Its tokens."""
    labels: list[float]
    """What is to be learned of it; see `dslm.shards.labels`."""
    text: str
    """Its text, by which duplicates are known."""
    shortened: bool = False
    """Whether it was longer than the model reads."""
    reference: Any = None
    """What a prediction is compared with beyond the labels, as JSON says it: the text of an answer,
    the record that a window is of."""
    inexact: bool = False
    """Whether the labels are only near to what is right, because no token ends where that does."""


class Prediction(NamedTuple):
    """Of one example, or of one record."""

    gold: Any
    """What is right: the number of a class, a list of numbers, the text of an answer."""
    found: Any
    """What was predicted, in the same form."""


def following(begins: Sequence[bool]) -> list[list[int]]:
    """The numbers of examples, those of a record together, by whether each begins a record."""
    groups = list[list[int]]()
    for number, first in enumerate(begins):
        if first:
            groups.append([])
        groups[-1].append(number)
    return groups


def field_of(record: Record, key: str) -> Any:
    """A field of a record.

    Raises:
        UnusableError: it is not there, or empty.
    """
    value = record.get(key)
    if value is None or value == "":
        raise UnusableError(f"has no {key}" if key not in record else f"its {key} is empty")
    return value


def text_of(record: Record, key: str) -> str:
    """A field of a record as text.

    Raises:
        UnusableError: it is not there, empty, or no text.
    """
    value = field_of(record, key)
    if isinstance(value, (list, tuple, dict)):
        raise UnusableError(f"its {key} is no text")
    text = str(value)
    if not text.strip():
        raise UnusableError(f"its {key} is empty")
    return text
