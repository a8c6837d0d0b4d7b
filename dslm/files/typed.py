"""Values of JSON that a person may have changed: of the type that is expected, or left out."""

from __future__ import annotations

from typing import Any, TypeVar, cast

T = TypeVar("T")

WIDEST = 1 << 63
"""No whole number of a run is as large; JSON may hold what is beyond a `float`."""


def typed(value: Any, kind: type[T]) -> T | None:
    """The value where it is of a type, else `None`.

    Args:
        value: what JSON can hold.
        kind: a whole number is a `float`, too; true and false are no numbers, nor is one of more
            than 64 bits.
    """
    if isinstance(value, int) and kind in (int, float):
        is_number = not isinstance(value, bool) and abs(value) < WIDEST
        return cast("T", value) if is_number else None
    return value if isinstance(value, kind) else None
