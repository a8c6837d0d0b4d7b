"""What training and evaluation read: rows of tokens by sample number.

The way of a sample number: `order` makes it a source and the index i of a window; the window is
tokens i·S … i·S + S of the source, S + 1 of them, so that each of its S predictions has its answer;
`shard_set` gathers them. Rows are a pure function of (seed, sample number). A replica that wants
its part of a batch asks for its own sample numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.data.order import Integers, Mixture, check_weights
from dslm.data.shard_set import ShardSet
from dslm.errors import DataError, Problem

Tokens = npt.NDArray[Any]


class Stream:
    """The rows of one or several shard sets in the order of training.

    Args:
        sources: the shard sets, all made with the same tokenizer.
        weights: the share of each source in the rows; without them every window of every source
            is seen exactly once an epoch.
        sequence: predictions in a row.
        seed: another seed is another order.

    Raises:
        DataError: the sources do not fit together; see `check_sources`.
    """

    def __init__(
        self,
        sources: Sequence[ShardSet],
        weights: Sequence[float] | None,
        sequence: int,
        seed: int,
    ) -> None:
        if problems := check_sources(sources, weights, sequence):
            raise DataError(*problems)
        sizes = [windows_in(source, sequence) for source in sources]
        self.sources, self.sequence = sources, sequence
        self.samples_per_epoch = sum(sizes)
        self._weighted = weights is not None
        self._first_windows = np.cumsum([0, *sizes])
        self._order = Mixture(sizes if weights else [sum(sizes)], weights or [1.0], seed)

    def rows(self, first: int, count: int) -> Tokens:
        """Samples `first` … `first + count - 1` of the order, which has no end.

        Returns:
            Shape [count, sequence + 1], in the widest dtype of the sources.
        """
        chosen, indices = self._locate(np.arange(first, first + count))
        dtype = np.result_type(*(source.dtype for source in self.sources))
        rows = np.empty((count, self.sequence + 1), dtype=dtype)
        for number, source in enumerate(self.sources):
            mine = chosen == number
            rows[mine] = source.windows(indices[mine] * self.sequence, self.sequence + 1)
        return rows

    def places(self, first: int, count: int) -> list[tuple[int, int]]:
        """For each of these samples the number of its source and its first token there."""
        chosen, indices = self._locate(np.arange(first, first + count))
        return list(zip(chosen.tolist(), (indices * self.sequence).tolist(), strict=True))

    def _locate(self, samples: Integers) -> tuple[Integers, Integers]:
        """The source and the window of each sample."""
        chosen, _, indices = self._order(samples)
        if not self._weighted:  # one permutation over the windows of all sources together
            chosen = np.searchsorted(self._first_windows, indices, side="right") - 1
            indices = indices - self._first_windows[chosen]
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
