"""The ids around a source, and around the target that a decoder writes of it.

T5 reads ``text </s>`` and writes, behind ``<pad>``, ``text </s>``; BART reads ``<s> text </s>`` and
writes, behind ``</s>``, ``<s> text </s>``. A model that comes from elsewhere has such ids among
those of its tokenizer, whose card says which; else two ids beyond the tokenizer's serve.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Int64Array
from dslm.config.parse import STRICT

Id = Annotated[int, Field(ge=0)]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class PairFrame:
    """Which ids surround a source and its target."""

    begin: Id
    """What stands before a target when it is read; it is never predicted."""
    end: Id
    """What ends a target."""
    before: tuple[Id, ...] = ()
    """What stands before every source."""
    behind: tuple[Id, ...] = ()
    """What stands behind every source."""
    opening: tuple[Id, ...] = ()
    """With what every target opens, behind `begin`; predicted like the rest of it."""
    forced: tuple[Id, ...] = ()
    """With what a target is made to open when it is written, whatever the model says."""

    @property
    def around_source(self) -> int:
        """How many ids a source has beside its text."""
        return len(self.before) + len(self.behind)

    @property
    def around_target(self) -> int:
        """How many ids of a target are predicted beside its text."""
        return len(self.opening) + 1

    def source(self, text: Int64Array) -> Int64Array:
        """What is read of a source [n]."""
        return np.concatenate([self.before, text, self.behind]).astype(np.int64)

    def given(self, text: Int64Array) -> Int64Array:
        """What is read of a target [n]: at each position what comes before `predicted` there."""
        return np.concatenate([[self.begin], self.opening, text]).astype(np.int64)

    def predicted(self, text: Int64Array) -> Int64Array:
        """What is to be predicted of a target [n]."""
        return np.concatenate([self.opening, text, [self.end]]).astype(np.int64)
