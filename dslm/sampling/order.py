"""Which window is read at which step of the training order, computed instead of stored.

The path of a sample number: its block and its slot in the block give a source and how many samples
of that source came before it; that count is an epoch and a position within the epoch; a permutation
keyed by (seed, source, epoch) turns the position into the index of a window. Nothing is drawn, so
nothing has to be remembered: the order is the same for any number of replicas, and a run resumes at
any sample by naming its number.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from dslm.arrays import Int64Array, UInt64Array
from dslm.errors import ConfigError, Problem

BLOCK = 1024
"""Samples over which the shares of a mixture are exact."""

ROUNDS = 6


class Permutation:
    """A family of bijections on [0, size), one for each epoch, in constant memory.

    A balanced Feistel network over the next even number of bits; a value that falls outside the
    range is sent through again until it falls inside (cycle walking). See Black and Rogaway,
    "Ciphers with Arbitrary Finite Domains", 2002, section 4; the round function here is a mixer
    of good statistics, not a cipher.

    Args:
        size: how many values are permuted, at least 1.
        key: anything that distinguishes this family from others.
    """

    def __init__(self, size: int, key: str) -> None:
        bits = max(2, (size - 1).bit_length())
        self.size = size
        self._half = np.uint64((bits + 1) // 2)
        self._mask = np.uint64((1 << int(self._half)) - 1)
        digest = hashlib.blake2b(key.encode(), digest_size=8 * ROUNDS).digest()
        self._keys = np.frombuffer(digest, dtype="<u8").astype(np.uint64)

    def __call__(self, positions: Int64Array, epochs: Int64Array | int = 0) -> Int64Array:
        """Where each position goes.

        Args:
            positions: one dimension, each in [0, size).
            epochs: the epoch of each position, or one for all of them.

        Returns:
            As many values in [0, size): for one epoch, different ones for different positions.
        """
        tweaks = np.broadcast_to(np.asarray(epochs).astype(np.uint64), positions.shape)
        values = self._encipher(positions.astype(np.uint64), tweaks)
        outside = np.flatnonzero(values >= self.size)
        while outside.size:
            values[outside] = self._encipher(values[outside], tweaks[outside])
            outside = outside[values[outside] >= self.size]
        return values.astype(np.int64)

    def _encipher(self, values: UInt64Array, tweaks: UInt64Array) -> UInt64Array:
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (mix(right ^ mix(tweaks + key)) & self._mask)
        return (left << self._half) | right


def mix(words: UInt64Array) -> UInt64Array:
    """Spread every bit over the whole word (the finalizer of splitmix64, Steele et al. 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64Array = words ^ (words >> np.uint64(31))
    return mixed


class Mixture:
    """Sample numbers to windows of several sources, each source in a share of its own.

    Every run of `block` samples that starts at a multiple of `block` holds each source exactly
    as often as its share says, spread evenly. Every completed epoch of a source is an exact
    permutation of its windows.

    Args:
        sizes: windows in each source, each at least 1.
        weights: the share of each source, in any positive unit.
        seed: another seed is another order.
        block: samples over which the shares are exact.

    Raises:
        ConfigError: the weights do not fit the sources; see `check_weights`.
    """

    def __init__(
        self, sizes: Sequence[int], weights: Sequence[float], seed: int, block: int = BLOCK
    ) -> None:
        if problems := check_weights(weights, len(sizes), block):
            raise ConfigError(*problems)
        self._block = block
        self._counts = apportion(weights, block)
        self._slots, self._ranks = _layout(self._counts)
        self._orders = [Permutation(size, f"{seed}/{source}") for source, size in enumerate(sizes)]

    def __call__(self, samples: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        """The source, the epoch of that source and the window index of each sample number."""
        blocks, slots = np.divmod(samples, self._block)
        sources = self._slots[slots]
        seen = blocks * self._counts[sources] + self._ranks[slots]
        epochs, indices = np.empty_like(seen), np.empty_like(seen)
        for source, order in enumerate(self._orders):
            mine = sources == source
            epochs[mine], positions = np.divmod(seen[mine], order.size)
            indices[mine] = order(positions, epochs[mine])
        return sources, epochs, indices


def apportion(weights: Sequence[float], block: int) -> Int64Array:
    """Samples of each source in a block: shares rounded by largest remainder, `block` in sum."""
    total = math.fsum(weights)
    exact = np.array([weight / total * block for weight in weights])
    counts: Int64Array = np.floor(exact).astype(np.int64)
    largest_remainders = np.argsort(counts - exact, kind="stable")
    counts[largest_remainders[: block - counts.sum()]] += 1
    return counts


def _layout(counts: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The source of each slot of a block, and how many slots of that source come before it.

    The samples of a source lie at equal distances, so that a batch smaller than a block has nearly
    the shares of a block.
    """
    sources = np.repeat(np.arange(counts.size), counts)
    ranks = np.concatenate([np.arange(count) for count in counts])
    order = np.argsort((ranks + 0.5) / counts[sources], kind="stable")
    return sources[order], ranks[order]


def tempered(sizes: Sequence[int], temperature: float) -> list[float]:
    """Weights of a mixture between the sizes of its sources and equal shares: w ∝ n^(1/T).

    Temperature 1 leaves the sizes as they are, a higher one favours small sources. Multilingual
    BERT (Devlin, 2019) has the exponent 0.7, XLM-R (Conneau et al. 2020, section 3.1) 0.3, and
    Arivazhagan et al. 2019, section 4.2, the temperature 5.

    Args:
        sizes: documents or tokens of each source.
        temperature: above 0.

    Returns:
        The share of each source, 1 in sum.
    """
    powers = [(size / max(sizes)) ** (1 / temperature) for size in sizes]
    return [power / math.fsum(powers) for power in powers]


def check_weights(weights: Sequence[float], sources: int, block: int = BLOCK) -> list[Problem]:
    """What is wrong with the weights of a mixture: their number, their sign, a share too small."""
    if len(weights) != sources:
        rule = f"one weight for each of the {sources} sources is needed"
        return [Problem("data.train", list(weights), rule, f"give {sources} numbers")]
    bad = [weight for weight in weights if not (weight > 0 and math.isfinite(weight))]
    if bad:
        return [
            Problem("data.train", bad[0], "a weight is a positive number", "leave the source out")
        ]
    return [
        Problem(
            "data.train", weight, f"less than one sample in {block}", "raise it or leave it out"
        )
        for weight, count in zip(weights, apportion(weights, block), strict=True)
        if count == 0
    ]
