"""What training and evaluation read: rows of tokens by sample number.

The way of a sample number: `order` makes it a source and the index i of a row; the source gathers
the row's tokens from its shard set. Rows are windows, tokens i·S … i·S + S of the set, S + 1 of
them, so that each of the S predictions has its answer; or whole documents, see `packed`. Rows are
a pure function of (seed, sample number). A replica that wants its part of a batch asks for its own
sample numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dslm.data.order import Integers, Mixture, check_weights
from dslm.data.shard_set import ShardSet
from dslm.errors import DataError, Problem

Tokens = npt.NDArray[Any]
Run = tuple[int, int]
"""The first of some consecutive tokens of a shard set, and the one after the last."""
Reader = Callable[[Integers], Tokens]
"""From the numbers of rows to something of each of their tokens; shape [rows, width]."""


class RowSource(Protocol):
    """A shard set cut into rows."""

    @property
    def shards(self) -> ShardSet:
        """The set."""

    @property
    def width(self) -> int:
        """Tokens of a row."""

    @property
    def padding(self) -> int | None:
        """The id that fills rows up, if any does."""

    def __len__(self) -> int:
        """How many rows there are."""

    def rows(self, indices: Integers) -> Tokens:
        """Some of the rows; shape [len(indices), width], in the dtype of the shards."""

    def runs(self, index: int) -> list[Run]:
        """What a row is made of."""


class Windows:
    """A shard set cut into windows that share one token with the next, whatever lies there.

    Args:
        shards: the set.
        sequence: predictions in a window.
        slack: tokens that follow each window in its row, for `augment`; where the set has no more,
            they are those of its beginning.
    """

    padding = None

    def __init__(self, shards: ShardSet, sequence: int, slack: int = 0) -> None:
        self.shards, self.sequence, self.slack = shards, sequence, slack
        self.width = sequence + 1 + slack

    def __len__(self) -> int:
        return windows_in(self.shards, self.sequence)

    def rows(self, indices: Integers) -> Tokens:
        """Some of the windows with their slack; shape [len(indices), width]."""
        return self._read(self.shards.windows, indices)

    def sentences(self, indices: Integers) -> npt.NDArray[np.bool_]:
        """True where a sentence begins, in the shape of `rows`."""
        return self._read(self.shards.sentence_starts, indices)

    def runs(self, index: int) -> list[Run]:
        """A window, and its slack."""
        start = index * self.sequence
        end = start + self.sequence + 1
        slack = int(self._slack_starts(np.array([end]))[0])
        return [(start, end), *([(slack, slack + self.slack)] if self.slack else [])]

    def _read(self, read: Callable[[Integers, int], Tokens], indices: Integers) -> Tokens:
        starts = indices * self.sequence
        rows = read(starts, self.sequence + 1)
        if not self.slack:
            return rows
        ends = self._slack_starts(starts + self.sequence + 1)
        return np.concatenate([rows, read(ends, self.slack)], axis=1)

    def _slack_starts(self, ends: Integers) -> Integers:
        return np.where(ends + self.slack <= self.shards.tokens, ends, 0)


class Stream:
    """The rows of one or several shard sets in the order of training.

    Args:
        sources: the shard sets, all made with the same tokenizer and cut to the same width.
        weights: the share of each source in the rows; without them every row of every source is
            seen exactly once an epoch.
        seed: another seed is another order.

    Raises:
        DataError: the sources do not fit together; see `check_sources`.
    """

    def __init__(
        self, sources: Sequence[RowSource], weights: Sequence[float] | None, seed: int
    ) -> None:
        self.sources, self.width, self.padding = sources, sources[0].width, sources[0].padding
        shards = [source.shards for source in sources]
        if problems := check_sources(shards, weights, self.width - 1):
            raise DataError(*problems)
        sizes = [len(source) for source in sources]
        self.samples_per_epoch = sum(sizes)
        self.shares = [size / math.fsum(weights or sizes) for size in weights or sizes]
        self._weighted = weights is not None
        self._first_rows = np.cumsum([0, *sizes])
        self._order = Mixture(sizes if weights else [sum(sizes)], weights or [1.0], seed)
        self._dtype = np.result_type(*(one.dtype for one in shards))

    def rows(self, first: int, count: int) -> Tokens:
        """Samples `first` … `first + count - 1` of the order, which has no end.

        Returns:
            Shape [count, width], in the widest dtype of the sources.
        """
        return self._gathered(first, count, self._dtype, [source.rows for source in self.sources])

    def places(self, first: int, count: int) -> list[tuple[int, list[Run]]]:
        """For each of these samples the number of its source and the tokens it is made of."""
        chosen, indices = self._locate(np.arange(first, first + count))
        return [
            (source, self.sources[source].runs(index))
            for source, index in zip(chosen.tolist(), indices.tolist(), strict=True)
        ]

    def epochs(self, samples: int) -> list[float]:
        """How often each source has been read after that many samples."""
        pairs = zip(self.shares, self.sources, strict=True)
        return [samples * share / len(source) for share, source in pairs]

    def _gathered(
        self, first: int, count: int, dtype: npt.DTypeLike, readers: Sequence[Reader]
    ) -> Tokens:
        """What the readers of the sources give for some samples, in the order of the samples."""
        chosen, indices = self._locate(np.arange(first, first + count))
        gathered = np.empty((count, self.width), dtype=dtype)
        for number, read in enumerate(readers):
            mine = chosen == number
            gathered[mine] = read(indices[mine])
        return gathered

    def _locate(self, samples: Integers) -> tuple[Integers, Integers]:
        """The source and the row of each sample."""
        chosen, _, indices = self._order(samples)
        if not self._weighted:  # one permutation over the rows of all sources together
            chosen = np.searchsorted(self._first_rows, indices, side="right") - 1
            indices = indices - self._first_rows[chosen]
        return chosen, indices


def ordered_rows(shards: ShardSet, sequence: int, first: int, count: int) -> Tokens:
    """Windows `first` … `first + count - 1` in the order of the files, for evaluation.

    Returns:
        Shape [count, sequence + 1], in the dtype of the shards.
    """
    starts = np.arange(first, first + count, dtype=np.int64) * sequence
    return shards.windows(starts, sequence + 1)


def windows_in(shards: ShardSet, sequence: int) -> int:
    """Windows of `sequence` predictions in a shard set; the tokens after the last are not read."""
    return (shards.tokens - 1) // sequence


def check_window(shards: ShardSet, sequence: int) -> list[Problem]:
    """A problem when a shard set holds less than one window of `sequence` predictions."""
    if shards.tokens > sequence:
        return []
    rule = f"its {shards.tokens} tokens are less than one window of {sequence} + 1"
    return [Problem(str(shards.folder), None, rule, "use more text or a shorter model.sequence")]


def check_sources(
    sources: Sequence[ShardSet], weights: Sequence[float] | None, sequence: int
) -> list[Problem]:
    """Everything that keeps shard sets from being trained on together."""
    problems = [problem for source in sources for problem in check_window(source, sequence)]
    if weights is not None:
        problems += check_weights(weights, len(sources))
    strangers = [s for s in sources if s.tokenizer_sha256 != sources[0].tokenizer_sha256]
    return problems + [
        Problem(
            str(stranger.folder),
            None,
            f"made with another tokenizer than {sources[0].folder}",
            f"shard it with {sources[0].tokenizer}",
        )
        for stranger in strangers
    ]
