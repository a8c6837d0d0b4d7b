"""Several documents in one row, kept apart."""

from __future__ import annotations

import numpy as np

from dslm.arrays import Int64Array


def position_ids(documents: Int64Array) -> Int64Array:
    """[B, S], the position of each token in its document."""
    positions = np.arange(documents.shape[1])
    begins = np.diff(documents, axis=1, prepend=-1) != 0
    firsts = np.maximum.accumulate(np.where(begins, positions, 0), axis=1)
    found: Int64Array = positions - firsts
    return found
