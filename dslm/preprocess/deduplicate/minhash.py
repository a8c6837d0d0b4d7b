"""The bands of a MinHash signature: texts that are nearly equal share one of them.

Of each text's shingles the smallest is taken after each of many permutations; two texts have the
same smallest one with the probability of their Jaccard similarity (Broder, "On the resemblance and
containment of documents", 1997). The values of a few permutations are hashed together to one band
(Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4).
"""

from __future__ import annotations

import numpy as np

from dslm.arrays import UInt64Array
from dslm.preprocess.text.hashing import random_factors, spread
from dslm.preprocess.text.ragged import Ragged

NO_WORDS = np.uint64(0)
"""All bands of a text without words: it is near to no other."""


def minhash(shingles: Ragged[np.uint64], bands: int, rows: int) -> tuple[UInt64Array, ...]:
    """The bands of the texts, a column for each band.

    A permutation maps the upper half h of each shingle, which is random already, to ``a h + b``
    modulo 2^32 with an odd ``a``.
    """
    keys = np.full((bands, len(shingles)), NO_WORDS)
    texts = np.flatnonzero(shingles.lengths)
    if not texts.size:
        return tuple(keys)
    begins = shingles.offsets[texts]
    upper = (shingles.values >> np.uint64(32)).astype(np.uint32)
    permuted = np.empty_like(upper)
    factors = random_factors("factors", bands * rows).astype(np.uint32)
    summands = (random_factors("summands", bands * rows) >> np.uint64(32)).astype(np.uint32)
    weights = random_factors("rows", rows)
    for number in range(bands * rows):
        np.multiply(upper, factors[number], out=permuted)
        permuted += summands[number]
        smallest = np.minimum.reduceat(permuted, begins)
        keys[number // rows, texts] += weights[number % rows] * smallest
    return tuple(spread(keys))
