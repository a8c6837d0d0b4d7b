"""Random numbers that are the same on every machine, and a hash whose every bit counts."""

from __future__ import annotations

import hashlib

import numpy as np

from dslm.preprocess.text.ragged import Words


def random_words(key: str, count: int) -> Words:
    """Odd random numbers of 64 bits, the same for the same key."""
    stream = np.frombuffer(hashlib.shake_128(key.encode()).digest(8 * count), "<u8")
    return stream.astype(np.uint64) | np.uint64(1)


def spread(sums: Words) -> Words:
    """Carry the high bits of sums of products into the low ones and back, in place, one to one."""
    sums ^= sums >> np.uint64(32)
    sums *= np.uint64(0x9E3779B97F4A7C15)
    sums ^= sums >> np.uint64(29)
    return sums
