"""A command called within the process: what it is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable

Call = Callable[..., tuple[int, str, str]]


TEXT = "the river of light and the dark stone under it fall and never end"


LETTERS = "".join(map(chr, range(32, 127))) + "\n\té短"
