"""Random numbers without a history: functions of (seed, sample number, stream, position)."""

from __future__ import annotations

import hashlib
from enum import IntEnum, auto

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array, UInt64Array
from dslm.sampling.order import mix

Reals = npt.NDArray[np.float64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""The steps of SplitMix64: odd, and near 2^64 over the golden ratio."""


class RandomStream(IntEnum):
    """What random numbers are for; each purpose has a stream of its own."""

    SHUFFLE = 0
    DROP = auto()
    REPLACE = auto()
    DRAW = auto()
    LOWER = auto()
    PAIR = auto()
    RELATION = auto()
    UNITS = auto()
    CHOICE = auto()
    CHANGE = auto()
    IDS = auto()
    LENGTHS = auto()
    CUTS = auto()
    DROPOUT = auto()
    SHIFT = auto()


def stateless_random(seed: int, samples: Int64Array, width: int, stream: RandomStream) -> Reals:
    """Random numbers in [0, 1) that depend on the seed, the sample number and the stream alone.

    From SplitMix64 (Steele et al., "Fast Splittable Pseudorandom Number Generators", 2014), whose
    numbers can be had in any order: each is a mixture of where its row begins and its position.

    Returns:
        Shape [samples, width].
    """
    positions = np.arange(1, width + 1, dtype=np.uint64) * GOLDEN
    bits = mix(sample_bits(seed, samples, stream)[:, None] + positions) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def sample_bits(seed: int, samples: Int64Array, stream: RandomStream) -> UInt64Array:
    """64 random bits for each sample, different ones for different samples; shape [samples]."""
    digest = hashlib.blake2b(f"{seed}/{int(stream)}".encode(), digest_size=16).digest()
    before, behind = np.frombuffer(digest, dtype="<u8").astype(np.uint64)
    return mix(mix(samples.astype(np.uint64) + before) + behind)
