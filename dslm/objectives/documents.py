"""Several documents in one row, kept apart."""

from __future__ import annotations

import numpy as np

from dslm.arrays import Int64Array


def visible(documents: Int64Array, causal: bool) -> Int64Array:
    """What each token sees, as `dslm.model.visibility` reads it.

    Args:
        documents: [B, S], the document of each token, counted from 1; 0 is padding.
        causal: whether a token is seen only by those after it.
    """
    return documents if causal else -documents


def position_ids(documents: Int64Array) -> Int64Array:
    """[B, S], the position of each token in its document."""
    positions = np.arange(documents.shape[1])
    begins = np.diff(documents, axis=1, prepend=-1) != 0
    firsts = np.maximum.accumulate(np.where(begins, positions, 0), axis=1)
    found: Int64Array = positions - firsts
    return found
