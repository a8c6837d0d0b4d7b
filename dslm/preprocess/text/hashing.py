"""Hashes of words, of stretches of text and of runs of words: arithmetic modulo 2^64 on arrays.

All are polynomials (Karp and Rabin 1987), the same on every machine. Every factor is odd, so that
multiplying by it loses nothing.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array, UInt64Array

_MODULUS = 1 << 64
_FACTOR = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio
_INVERSE = pow(_FACTOR, -1, _MODULUS)


def random_factors(key: str, count: int) -> UInt64Array:
    """Odd random numbers of 64 bits, the same for the same key."""
    stream = np.frombuffer(hashlib.shake_128(key.encode()).digest(8 * count), "<u8")
    return stream.astype(np.uint64) | np.uint64(1)


def spread(sums: UInt64Array) -> UInt64Array:
    """Carry the high bits of sums of products into the low ones and back, in place, one to one."""
    sums ^= sums >> np.uint64(32)
    sums *= np.uint64(_FACTOR)
    sums ^= sums >> np.uint64(29)
    return sums


def combined(first: npt.NDArray[Any], *others: npt.NDArray[Any]) -> UInt64Array:
    """One hash for the numbers of a row; two numbers below 2^31 never have that of two others."""
    sums = first.astype(np.uint64)
    for column in others:
        sums *= np.uint64(_FACTOR)
        sums += column.astype(np.uint64, copy=False)
    sums *= np.uint64(_FACTOR)
    return sums


def run_hashes(values: UInt64Array, length: int, factor: int = _FACTOR) -> UInt64Array:
    """For each run of values v: the sum of v[k] * factor**(length - 1 - k).

    A run is put together from its halves, so that 13 values take 5 multiplications and not 12.

    Args:
        values: numbers; if there is more than one axis, runs go along the first.
        length: values in a run.
        factor: an odd number.

    Returns:
        As many as there are runs: none where values are fewer than `length`.
    """
    if length == 1 or len(values) < length:
        return values if length == 1 else values[:0]
    half = length // 2
    halves = run_hashes(values, half, factor)
    sums = halves[:-half] * np.uint64(pow(factor, half, _MODULUS)) + halves[half:]
    if length % 2:
        sums = sums[:-1] * np.uint64(factor) + values[length - 1 :]
    return sums


class SpanHashes:
    """Hashes of stretches of a text, each read off running sums over all of it by a subtraction.

    Args:
        codes: unsigned numbers, one for each character.
    """

    def __init__(self, codes: npt.NDArray[Any]) -> None:
        self._size = len(codes)
        self._sums = np.zeros(self._size + 1, np.uint64)
        np.multiply(codes, _powers(self._size, _FACTOR), out=self._sums[1:])
        np.cumsum(self._sums, out=self._sums)

    def __call__(self, starts: Int64Array, ends: Int64Array) -> UInt64Array:
        """A hash of the codes between each start and end, the same wherever they are."""
        sums = self._sums[ends] - self._sums[starts]
        return spread(sums * _powers(self._size, _INVERSE)[starts])


def _powers(length: int, factor: int) -> UInt64Array:
    """The powers of a factor from the zeroth on."""
    return _all_powers(max(20, length.bit_length()), factor)[:length]


@lru_cache(maxsize=4)
def _all_powers(bits: int, factor: int) -> UInt64Array:
    # Freed at once: from then on glibc keeps as much for the next batch, and does not give it back
    # to the system and take it again, which is a sixth of the time of cleaning.
    np.empty(30 << 20, np.uint8)
    powers = np.full(1 << bits, factor, np.uint64)
    powers[0] = 1
    return np.cumprod(powers)
