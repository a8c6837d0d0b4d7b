"""Several documents in one row, kept apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def visible(documents: Integers, causal: bool) -> Integers:
    """What each token sees, as `dslm.model.visibility` reads it.

    Args:
        documents: [B, S], the document of each token, counted from 1; 0 is padding.
        causal: whether a token is seen only by those after it.
    """
    return documents if causal else -documents


def places_of(documents: Integers) -> Integers:
    """[B, S], the place of each token in its document."""
    everywhere = np.arange(documents.shape[1])
    begins = np.diff(documents, axis=1, prepend=-1) != 0
    firsts = np.maximum.accumulate(np.where(begins, everywhere, 0), axis=1)
    places: Integers = everywhere - firsts
    return places
