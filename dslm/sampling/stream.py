"""What training and evaluation read: rows of tokens by sample number.

The path of a sample number: `order` makes it a source, an epoch of it and the index i of a row;
the source gathers the row's tokens from its shard set. Rows are windows, tokens i·S … of the set,
in which a causal model's S predictions have their answers one token on; or whole documents, see
`packed`; or pairs of segments, see `pairs`. Rows are a pure function of (seed, sample number). A
replica that wants its part of a batch asks for its own sample numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from dslm.arrays import Flags, Float32Array, Int64Array, Tokens
from dslm.errors import DataError, Problem
from dslm.sampling.order import BLOCK, Mixture, Phase, check_weights
from dslm.sampling.shifts import Shifts, shifts
from dslm.sampling.stateless_random import Reals
from dslm.shards.shard_set import ShardSet

TokenSpan = tuple[int, int]
"""The first of some consecutive tokens of a shard set, and the one after the last."""
Reader = Callable[[Int64Array, Int64Array, Reals], Tokens]
"""From the numbers of rows, and of the samples that they are, and their shifts to something of each
of their tokens; shape [rows, width]."""


@dataclass(frozen=True)
class Samples:
    """Some samples of the order."""

    tokens: Tokens
    """[n, width]"""
    numbers: Int64Array
    """[n]: their numbers; the same row has another one in each epoch."""
    indices: Int64Array
    """[n]: the numbers of their rows, which are as many in each epoch."""
    lengths: Int64Array | None = None
    """[n]: tokens of each row before its padding; without them no row has any."""
    labels: list[Float32Array] | None = None
    """[n]: what is to be learned of each row, where rows are examples of a task."""

    @property
    def text(self) -> Flags:
        """[n, width]: true where a row holds text, false where it is filled up."""
        size, width = self.tokens.shape
        lengths = np.full(size, width) if self.lengths is None else self.lengths
        text: Flags = np.arange(width) < lengths[:, None]
        return text

    def __getitem__(self, part: slice) -> Samples:
        """Some of them."""
        lengths = None if self.lengths is None else self.lengths[part]
        labels = None if self.labels is None else self.labels[part]
        return Samples(self.tokens[part], self.numbers[part], self.indices[part], lengths, labels)


@dataclass(frozen=True)
class WindowSpec:
    """How a shard set is cut into windows."""

    stride: int
    """Tokens from the beginning of a window to that of the next."""
    overlap: int = 0
    """Tokens of a window that are those of the next one as well."""

    @property
    def width(self) -> int:
        """Tokens of a window."""
        return self.stride + self.overlap

    def count(self, shards: ShardSet) -> int:
        """Whole windows of a shard set; the tokens after the last are not read in that epoch."""
        return max(0, (shards.tokens - self.overlap) // self.stride)


class RowSource(Protocol):
    """A shard set cut into rows."""

    @property
    def shards(self) -> ShardSet:
        """The set."""

    @property
    def width(self) -> int:
        """Tokens of a row."""

    def __len__(self) -> int:
        """How many rows there are."""

    def rows(self, indices: Int64Array, numbers: Int64Array, shifts: Shifts = 0.0) -> Tokens:
        """Some of the rows.

        Args:
            indices: which.
            numbers: the sample that each of them is, for rows in which something is drawn.
            shifts: of these samples, for rows that are not the same in each epoch.

        Returns:
            Shape [len(indices), width], in the dtype of the shards.
        """

    def lengths(self, indices: Int64Array, rows: Tokens) -> Int64Array:
        """Tokens of each row before its padding, if it has any.

        Padding is known by its place alone: its id may be that of the end of a document.

        Args:
            indices: which rows.
            rows: [len(indices), width], what `rows` gave for them.
        """

    def token_spans(self, index: int, number: int, shift: float = 0.0) -> list[TokenSpan]:
        """What a row is made of when it is that sample."""


@runtime_checkable
class LabelledRows(RowSource, Protocol):
    """Rows that are examples of a task."""

    def labels(self, indices: Int64Array) -> list[Float32Array]:
        """What is to be learned of some rows."""


Located = tuple[Int64Array, Int64Array, Reals]
"""Of each sample the number of its source, its row there, and how far windows are shifted."""


class Stream:
    """The rows of one or several shard sets in the order of training.

    Args:
        sources: the shard sets, all made with the same tokenizer and cut to the same width.
        weights: the share of each source in the rows; without them every row of every source is
            seen exactly once an epoch.
        seed: another seed is another order.
        phases: the shares until now, those of `weights` last, where they have not always been the
            same; none of them repeats a row or leaves one out.
        shifted: whether windows begin elsewhere in each epoch after the first.

    Raises:
        DataError: the sources do not fit together; see `check_sources`.
    """

    def __init__(
        self,
        sources: Sequence[RowSource],
        weights: Sequence[float] | None,
        seed: int,
        phases: Sequence[Phase] = (),
        shifted: bool = True,
    ) -> None:
        self.sources, self.width = sources, sources[0].width
        self._seed, self._shifted = seed, shifted
        shards = [source.shards for source in sources]
        if problems := check_sources(shards, weights, self.width):
            raise DataError(*problems)
        sizes = [len(source) for source in sources]
        self.samples_per_epoch = sum(sizes)
        self.shares = [size / math.fsum(weights or sizes) for size in weights or sizes]
        self._weighted = weights is not None
        self._first_rows = np.cumsum([0, *sizes])
        *earlier, now = phases or [Phase(0, ())]
        self._order = Mixture(
            sizes if weights else [sum(sizes)],
            weights or [1.0],
            seed,
            earlier=earlier,
            first=now.first,
        )
        self._dtype = np.result_type(*(one.dtype for one in shards))
        self._block = lru_cache(maxsize=4)(self._located)

    def rows(self, first: int, count: int) -> Tokens:
        """Samples `first` … `first + count - 1` of the order, which has no end.

        Returns:
            Shape [count, width], in the widest dtype of the sources.
        """
        return self._gathered(first, count, self._dtype, [source.rows for source in self.sources])

    def samples(self, first: int, count: int) -> Samples:
        """The same rows with their numbers and lengths."""
        numbers, rows = np.arange(first, first + count), self.rows(first, count)
        chosen, indices, _ = self._locate(numbers)
        lengths, labels = np.empty(count, dtype=np.int64), dict[int, Float32Array]()
        for number, source in enumerate(self.sources):
            mine = np.flatnonzero(chosen == number)
            lengths[mine] = source.lengths(indices[mine], rows[mine])
            if (own := _labels(source, indices[mine])) is not None:
                labels.update(zip(mine.tolist(), own, strict=True))
        in_order = [labels[place] for place in sorted(labels)] or None
        return Samples(rows, numbers, indices, lengths, in_order)

    def token_spans(self, first: int, count: int) -> list[tuple[int, list[TokenSpan]]]:
        """For each of these samples the number of its source and the tokens it is made of."""
        numbers = np.arange(first, first + count)
        located = (one.tolist() for one in (*self._locate(numbers), numbers))
        return [
            (source, self.sources[source].token_spans(index, number, shift))
            for source, index, shift, number in zip(*located, strict=True)
        ]

    def epochs(self, samples: int) -> list[float]:
        """How often each source has been read after that many samples."""
        read = self._order.read(samples)
        if not self._weighted:
            return [samples / self.samples_per_epoch for _ in self.sources]
        return [count / len(one) for count, one in zip(read.tolist(), self.sources, strict=True)]

    def _gathered(
        self, first: int, count: int, dtype: npt.DTypeLike, readers: Sequence[Reader]
    ) -> Tokens:
        """What the readers of the sources give for some samples, in the order of the samples."""
        numbers = np.arange(first, first + count)
        chosen, indices, later = self._locate(numbers)
        gathered = np.empty((count, self.width), dtype=dtype)
        for source, read in enumerate(readers):
            mine = chosen == source
            gathered[mine] = read(indices[mine], numbers[mine], later[mine])
        return gathered

    def _locate(self, samples: Int64Array) -> Located:
        """The source, the row and the shift of each sample."""
        blocks, places = np.divmod(samples, BLOCK)
        located = np.empty_like(samples), np.empty_like(samples), np.empty(samples.size)
        for block in np.unique(blocks).tolist():
            mine = blocks == block
            for found, of_block in zip(located, self._block(block), strict=True):
                found[mine] = of_block[places[mine]]
        return located

    def _located(self, block: int) -> Located:
        """Those of a block of samples, which costs little more than those of a single one."""
        chosen, epochs, indices = self._order(np.arange(block * BLOCK, (block + 1) * BLOCK))
        if not self._weighted:  # one permutation over the rows of all sources together
            chosen = np.searchsorted(self._first_rows, indices, side="right") - 1
            indices = indices - self._first_rows[chosen]
        if not self._shifted:
            return chosen, indices, np.zeros(BLOCK)
        return chosen, indices, shifts(self._seed, chosen, epochs, len(self.sources))


def ordered(source: RowSource, first: int, count: int) -> Samples:
    """Rows `first` … `first + count - 1` in the order of the files, for evaluation.

    Past the last row that one is given again.
    """
    numbers = np.arange(first, first + count, dtype=np.int64)
    return chosen(source, np.minimum(numbers, len(source) - 1))


def chosen(source: RowSource, indices: Int64Array) -> Samples:
    """Some rows, for evaluation."""
    rows = source.rows(indices, indices)
    lengths = source.lengths(indices, rows)
    return Samples(rows, indices, indices, lengths, _labels(source, indices))


def _labels(source: RowSource, indices: Int64Array) -> list[Float32Array] | None:
    return source.labels(indices) if isinstance(source, LabelledRows) else None


def check_window(shards: ShardSet, width: int) -> list[Problem]:
    """A problem when a shard set holds less than one row of `width` tokens."""
    if shards.tokens >= width:
        return []
    rule = f"its {shards.tokens} tokens are less than one row of {width}"
    return [Problem(str(shards.folder), None, rule, "use more text or a shorter model.sequence")]


def check_sources(
    sources: Sequence[ShardSet], weights: Sequence[float] | None, width: int
) -> list[Problem]:
    """Everything that keeps shard sets from being trained on together, in rows of that width."""
    problems = [problem for source in sources for problem in check_window(source, width)]
    if weights is not None:
        problems += check_weights(weights, len(sources))
    first = sources[0]
    fix = f"shard it with --tokenizer {first.tokenizer}"
    for other in sources:
        rule = other.unlike(first.tokenizer_sha256, first.begin, str(first.folder))
        problems += [Problem(str(other.folder), None, rule, fix)] if rule else []
    return problems
