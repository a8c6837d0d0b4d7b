"""Sequences of a shard set: some drawn by a seed, and how often each occurs in all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dslm.arrays import Flags, Int64Array, Tokens, UInt64Array
from dslm.errors import ConfigError, DataError, Problem
from dslm.model.config import ModelConfig
from dslm.progress import Advance
from dslm.sampling.order import Permutation, mix
from dslm.shards.shard_set import ShardSet

TOKENS = 50
"""Of a prompt and of what follows it, as in Carlini et al. 2022."""
SEQUENCES = 1000
CHUNK = 1 << 20
"""Tokens that are looked at together."""
COMPARED = 1 << 14
"""Places whose tokens are compared together."""
KEPT = 10
"""Places of a sequence that are kept, the first ones."""
ENDS = np.uint64((1 << 16) - 1)
"""The bits of a hash by which most places are ruled out at once."""
BASE = 0x9E3779B97F4A7C15
"""Odd, hence with an inverse modulo 2^64."""


@dataclass(frozen=True)
class SequencesConfig:
    """Which sequences are drawn."""

    prompt: int
    """Tokens that a model is given."""
    new: int
    """Tokens that it is to go on with."""
    count: int
    """How many are drawn; fewer differ."""
    seed: int

    @property
    def length(self) -> int:
        """Tokens of a sequence."""
        return self.prompt + self.new


def sequences_config(
    prompt: int | None, new: int | None, count: int, seed: int, model: ModelConfig
) -> SequencesConfig:
    """What was asked for; without numbers of tokens half of a window at most.

    Raises:
        ConfigError: it cannot be drawn.
    """
    half = max(1, min(TOKENS, model.sequence // 2))
    made = SequencesConfig(
        half if prompt is None else prompt, half if new is None else new, count, seed
    )
    options = {"--prompt-tokens": made.prompt, "--new-tokens": made.new, "--sequences": count}
    problems = [
        Problem(option, value, "must be at least 1")
        for option, value in options.items()
        if value < 1
    ]
    if not problems and made.length > model.sequence:
        rule = f"with --new-tokens {made.new} is more than the model's window of {model.sequence:,}"
        problems.append(Problem("--prompt-tokens", made.prompt, rule, "use fewer"))
    if problems:
        raise ConfigError(*problems)
    return made


def draw(shards: ShardSet, config: SequencesConfig) -> Tokens:
    """Different sequences, each wholly within a document.

    Every place where one can begin is as likely as any other, so that a sequence is drawn with a
    chance proportional to how often it occurs.

    Returns:
        [sequences, length], in the dtype of the shards.

    Raises:
        DataError: no document is long enough.
    """
    lengths = shards.lengths()
    ends = np.cumsum(np.maximum(lengths - config.length + 1, 0))
    total = int(ends[-1]) if ends.size else 0
    if not total:
        rule = f"has no document of {config.length} tokens"
        fix = "use a smaller --prompt-tokens or --new-tokens"
        raise DataError(Problem(str(shards.folder), None, rule, fix))
    chosen = Permutation(total, f"{config.seed}/sequences")
    places = chosen(np.arange(min(config.count, total), dtype=np.int64))
    documents = np.searchsorted(ends, places, side="right")
    before = ends[documents] - np.maximum(lengths - config.length + 1, 0)[documents]
    starts = np.cumsum(lengths)[documents] - lengths[documents] + places - before
    found: Tokens = np.unique(shards.windows(np.sort(starts), config.length), axis=0)
    return found


@dataclass(frozen=True)
class Occurrences:
    """Where some sequences are in a shard set."""

    counts: Int64Array
    """[sequences]: how often each occurs."""
    places: list[list[int]]
    """[sequences]: the first tokens of its first `KEPT` occurrences."""


def occurrences(shards: ShardSet, rows: Tokens, advance: Advance | None = None) -> Occurrences:
    """Count sequences in all of a shard set, exactly.

    Every place of the set is hashed (Karp & Rabin 1987, modulo 2^64), and where a hash is that of a
    sequence the tokens themselves are compared.

    Args:
        shards: the set.
        rows: [sequences, length], all different.
        advance: called with the number of tokens that were looked at.
    """
    length, search = rows.shape[1], _Search(rows)
    found = Occurrences(np.zeros(len(rows), np.int64), [[] for _ in rows])
    for start in range(0, shards.tokens - length + 1, CHUNK):
        size = min(CHUNK + length - 1, shards.tokens - start)
        for places, which in search(shards.windows(np.array([start]), size)[0]):
            wanted = found.counts[which] < KEPT
            np.add.at(found.counts, which, 1)
            for place, one in zip(places[wanted].tolist(), which[wanted].tolist(), strict=True):
                if len(found.places[one]) < KEPT:
                    found.places[one].append(start + place)
        if advance is not None:
            advance(size - length + 1)
    return found


class _Search:
    """Finds some sequences in texts.

    Args:
        rows: [sequences, length], all different.
    """

    def __init__(self, rows: Tokens) -> None:
        self._length = rows.shape[1]
        hashes = np.concatenate([_hashes(row, self._length) for row in rows])
        self._order = np.argsort(hashes)
        self._rows, self._hashes = rows, hashes[self._order]
        self._ends = np.zeros(int(ENDS) + 1, dtype=bool)
        self._ends[hashes & ENDS] = True

    def __call__(self, tokens: Tokens) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Where sequences begin in a text, and which; some at a time."""
        here = _hashes(tokens, self._length)
        likely = np.flatnonzero(self._ends[here & ENDS])
        at = np.minimum(np.searchsorted(self._hashes, here[likely]), len(self._rows) - 1)
        equal = self._hashes[at] == here[likely]
        places, which = likely[equal], self._order[at[equal]]
        for first in range(0, places.size, COMPARED):
            some, rows = places[first : first + COMPARED], which[first : first + COMPARED]
            spans = tokens[some[:, None] + np.arange(self._length)]
            same: Flags = (spans == self._rows[rows]).all(1)
            yield some[same], rows[same]


def _hashes(tokens: Tokens, length: int) -> UInt64Array:
    """The hash of every span of so many tokens, [tokens - length + 1].

    Sums of a polynomial from the first token on, whose differences belong to the spans; what each
    begins with is divided by the power of its place.
    """
    terms = mix(tokens.astype(np.uint64) + np.uint64(BASE)) * _powers(BASE, tokens.size)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
    back = _powers(pow(BASE, -1, 1 << 64), tokens.size - length + 1)
    hashes: UInt64Array = (sums[length:] - sums[:-length]) * back
    return hashes


@lru_cache(maxsize=4)
def _powers(base: int, size: int) -> UInt64Array:
    """The powers of a number modulo 2^64, from the one of exponent 0 on."""
    factors = np.full(size, base, dtype=np.uint64)
    factors[0] = 1
    powers: UInt64Array = np.cumprod(factors)
    return powers
