"""Corrupting a text, and the target that restores it: exact counts, by sample number alone.

The path of a text of n tokens: the counts of corrupted tokens and of spans follow from n; distinct
positions between the tokens that are kept are drawn for the spans, and a length for each; the
source is what is kept, with a mark at the position of each span; the target is what restores the
text.

- `spans`: each span has a mark of its own, and the target is each mark and its span (T5, Raffel et
  al. 2020, section 3.1.4). All ways to corrupt that many tokens in that many spans are equally
  likely.
- `infilling`: spans of Poisson lengths, 0 among them, behind one mark each (BART, Lewis et al.
  2020, section 2.2). Independent Poisson lengths of a known sum are what throwing that many tokens
  into the spans gives.
- `masking` and `deletion` (the same section): single tokens become the mark, or nothing.

Of all but the first the target is the whole text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dslm.arrays import Int64Array
from dslm.sampling.stateless_random import Reals

Style = Literal["spans", "infilling", "masking", "deletion"]


@dataclass(frozen=True)
class Corruption:
    """How texts are corrupted."""

    style: Style
    share: float
    """Of the tokens, that are corrupted."""
    span: float
    """Tokens of a span, on average."""
    marks: tuple[int, ...]
    """What stands for what is missing: of `spans` one for each, else one for all of them."""

    def counts(self, length: int) -> tuple[int, int]:
        """How many tokens of a text are corrupted, and in how many spans; some are always kept."""
        corrupted = min(max(1, round(self.share * length)), length - 1) if length > 1 else 0
        if self.style in ("masking", "deletion"):
            return corrupted, corrupted
        spans = max(1, round(corrupted / self.span)) if corrupted else 0
        return corrupted, min(spans, corrupted, length - corrupted + 1)

    def lengths(self, length: int) -> tuple[int, int]:
        """Tokens of source and target of a text of that length, the same for every draw."""
        corrupted, spans = self.counts(length)
        marks = {"masking": corrupted, "deletion": 0}.get(self.style, spans)
        target = corrupted + spans if self.style == "spans" else length
        return length - corrupted + marks, target

    def __call__(self, text: Int64Array, draws: Reals) -> tuple[Int64Array, Int64Array]:
        """Corrupt a text.

        Args:
            text: [n].
            draws: [2 n + 1] or more random numbers that decide where.

        Returns:
            The source and the target; see `lengths`.
        """
        corrupted, spans = self.counts(text.size)
        keys, sizes = draws[: text.size + 1], draws[text.size + 1 :]
        if self.style in ("masking", "deletion"):
            return self._single(text, _some(corrupted, keys[: text.size])), text
        before = _some(spans, keys[: text.size - corrupted + 1])  # tokens kept before each span
        lengths = self._span_lengths(corrupted, spans, sizes)
        inside = np.repeat(before, lengths) + np.arange(corrupted)
        marks = np.resize(np.array(self.marks, dtype=np.int64), spans)
        source = np.insert(np.delete(text, inside), before, marks)
        if self.style == "infilling":
            return source, text
        return source, np.insert(text[inside], np.cumsum(lengths) - lengths, marks)

    def _single(self, text: Int64Array, positions: Int64Array) -> Int64Array:
        if self.style == "deletion":
            return np.delete(text, positions)
        source = text.copy()
        source[positions] = self.marks[0]
        return source

    def _span_lengths(self, corrupted: int, spans: int, sizes: Reals) -> Int64Array:
        if self.style == "infilling":
            return np.bincount((sizes[:corrupted] * spans).astype(np.int64), minlength=spans)
        borders = np.zeros(spans + 1, dtype=np.int64)
        borders[1:-1] = 1 + _some(spans - 1, sizes[: max(0, corrupted - 1)])
        borders[-1] = corrupted
        return borders[1:] - borders[:-1]


def restored(source: Int64Array, target: Int64Array, marks: Collection[int]) -> Int64Array:
    """The text again, from a source and a target of `spans`.

    Args:
        source: [n].
        target: [m], marks with what belongs there; one that is not in the source is left out.
        marks: the ids that are marks.
    """
    borders = np.flatnonzero(np.isin(target, list(marks)))
    pieces = np.split(target, borders)[1:]
    spans = {int(piece[0]): piece[1:] for piece in pieces}
    nothing = target[:0]
    parts = [spans.get(token, nothing) if token in marks else [token] for token in source.tolist()]
    return np.concatenate([nothing, *parts])


def _some(count: int, keys: Reals) -> Int64Array:
    """So many different positions among the keys, in rising order."""
    return np.sort(np.argsort(keys)[: max(0, count)])
