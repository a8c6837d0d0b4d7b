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
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Phase:
    """A stretch of the order in which the sources have the same shares."""

    first: int
    """The number of its first sample; it lasts until the next phase begins."""
    weights: tuple[float, ...]
    """The share of each source, in any unit; 0 for one that had not been added yet."""


class Mixture:
    """A stream of sample numbers to windows of several sources, each in a share of its own.

    From the beginning of a phase on, every run of `block` samples holds each source exactly as
    often as its share says, spread evenly. Every completed epoch of a source is an exact
    permutation of its windows, whatever its shares have been.

    Args:
        sizes: windows in each source, each at least 1.
        weights: the share of each source, in any positive unit.
        seed: another seed is another order.
        block: samples over which the shares are exact.
        earlier: the phases before these weights, if there were any.
        first: the number of the sample from which these weights hold.

    Raises:
        ConfigError: the weights do not fit the sources; see `check_weights`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        weights: Sequence[float],
        seed: int,
        block: int = BLOCK,
        earlier: Sequence[Phase] = (),
        first: int = 0,
    ) -> None:
        if problems := check_weights(weights, len(sizes), block):
            raise ConfigError(*problems)
        self._legs: list[_Leg] = []
        for phase in (*earlier, Phase(first, tuple(weights))):
            before = self.read(phase.first) if self._legs else np.zeros(len(sizes), dtype=np.int64)
            self._legs.append(_Leg(phase, before, block))
        self._firsts = np.array([leg.first for leg in self._legs])
        self._orders = [Permutation(size, f"{seed}/{source}") for source, size in enumerate(sizes)]

    def __call__(self, samples: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        """The source, the epoch of that source and the window index of each sample number."""
        sources, seen = np.empty_like(samples), np.empty_like(samples)
        legs = np.searchsorted(self._firsts, samples, side="right") - 1
        for leg in np.unique(legs).tolist():
            mine = legs == leg
            sources[mine], seen[mine] = self._legs[leg].locate(samples[mine])
        epochs, indices = np.empty_like(seen), np.empty_like(seen)
        for source, order in enumerate(self._orders):
            mine = sources == source
            epochs[mine], positions = np.divmod(seen[mine], order.size)
            indices[mine] = order(positions, epochs[mine])
        return sources, epochs, indices

    def read(self, samples: int) -> Int64Array:
        """How many of the first samples are of each source; shape [sources]."""
        leg = [leg for leg in self._legs if leg.first <= samples][-1]
        return leg.read(samples)


class _Leg:
    """A phase, and how many samples of each source came before it."""

    def __init__(self, phase: Phase, before: Int64Array, block: int) -> None:
        self.first, self._before, self._block = phase.first, before, block
        self._counts = apportion(phase.weights, block)
        self._slots, self._ranks = _layout(self._counts)

    def locate(self, samples: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The source of each sample, and how many samples of that source came before it."""
        blocks, slots = np.divmod(samples - self.first, self._block)
        sources = self._slots[slots]
        seen = self._before[sources] + blocks * self._counts[sources] + self._ranks[slots]
        return sources, seen.astype(np.int64, copy=False)

    def read(self, samples: int) -> Int64Array:
        """How many samples of each source come before this one."""
        blocks, rest = divmod(samples - self.first, self._block)
        part = np.bincount(self._slots[:rest], minlength=self._counts.size)
        read: Int64Array = self._before + blocks * self._counts + part
        return read


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
