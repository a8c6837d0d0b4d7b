"""Names out of a user's files, as a message can hold them: few, short and printable."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from dslm.errors import suggest

MOST = 10
"""Names that are listed."""
LONGEST = 40
"""Characters that are shown of each."""
COMPARED = 1000
"""Names among which the one meant is looked for, which takes time."""


def printable(name: str) -> str:
    """A name with escapes for what cannot be shown, such as bytes that are no UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def listed(names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    shown = [printable(name[:LONGEST]) for name in islice(names, MOST)]
    more = len(names) - len(shown)
    return f"{', '.join(shown)} and {more} more" if more else ", ".join(shown) or "nothing"


def alternatives(name: str, names: Collection[str]) -> str:
    """The fix for a name that is not there: the nearest of those that are, or a list of them."""
    return suggest(name, map(printable, islice(names, COMPARED)), f"it has {listed(names)}")
