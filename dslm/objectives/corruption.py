"""A text damaged, and what restores it: exact counts, drawn by sample number alone.

The way of a text of n tokens: the counts of damaged tokens and of spans follow from n; distinct
places between the tokens that stay are drawn for the spans, and a length for each; the source is
what stays, with a mark at the place of each span; the target is what restores the text.

- `spans`: each span has a mark of its own, and the target is each mark and its span (T5, Raffel et
  al. 2020, section 3.1.4). All ways to damage that many tokens in that many spans are equally
  likely.
- `infilling`: spans of Poisson lengths, 0 among them, behind one mark each (BART, Lewis et al.
  2020, section 2.2). Independent Poisson lengths of a known sum are what throwing that many tokens
  into the spans gives.
- `masking` and `deletion` (the same section): single tokens become the mark, or nothing.

Of all but the first the target is the whole text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dslm.sampling.stateless_random import Reals

Style = Literal["spans", "infilling", "masking", "deletion"]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Corruption:
    """How texts are damaged."""

    style: Style
    share: float
    """Of the tokens, that are damaged."""
    span: float
    """Tokens of a span, on average."""
    marks: int
    """The first mark; `spans` has others behind it."""

    def counts(self, length: int) -> tuple[int, int]:
        """How many tokens of a text are damaged, and in how many spans; some always stay."""
        damaged = min(max(1, round(self.share * length)), length - 1) if length > 1 else 0
        if self.style in ("masking", "deletion"):
            return damaged, damaged
        spans = max(1, round(damaged / self.span)) if damaged else 0
        return damaged, min(spans, damaged, length - damaged + 1)

    def lengths(self, length: int) -> tuple[int, int]:
        """Tokens of source and target of a text of that length, the same for every draw."""
        damaged, spans = self.counts(length)
        standing = {"masking": damaged, "deletion": 0}.get(self.style, spans)
        target = damaged + spans if self.style == "spans" else length
        return length - damaged + standing, target

    def __call__(self, text: Integers, draws: Reals) -> tuple[Integers, Integers]:
        """Damage a text.

        Args:
            text: [n].
            draws: [2 n + 1] or more random numbers that decide where.

        Returns:
            The source and the target; see `lengths`.
        """
        damaged, spans = self.counts(text.size)
        places, sizes = draws[: text.size + 1], draws[text.size + 1 :]
        if self.style in ("masking", "deletion"):
            return self._single(text, _some(damaged, places[: text.size])), text
        before = _some(spans, places[: text.size - damaged + 1])  # tokens that stay before each
        lengths = self._span_lengths(damaged, spans, sizes)
        inside = np.repeat(before, lengths) + np.arange(damaged)
        own = 1 if self.style == "spans" else 0
        marks = self.marks + own * np.arange(spans)
        source = _inserted(_without(text, inside), before, marks)
        if self.style == "infilling":
            return source, text
        return source, _inserted(text[inside], np.cumsum(lengths) - lengths, marks)

    def _single(self, text: Integers, chosen: Integers) -> Integers:
        if self.style == "deletion":
            return _without(text, chosen)
        source = text.copy()
        source[chosen] = self.marks
        return source

    def _span_lengths(self, damaged: int, spans: int, sizes: Reals) -> Integers:
        if self.style == "infilling":
            return np.bincount((sizes[:damaged] * spans).astype(np.int64), minlength=spans)
        borders = np.zeros(spans + 1, dtype=np.int64)
        borders[1:-1] = 1 + _some(spans - 1, sizes[: max(0, damaged - 1)])
        borders[-1] = damaged
        return borders[1:] - borders[:-1]


def filled(source: Integers, target: Integers, marks: int) -> Integers:
    """The text again, from a source and a target of `spans`.

    Args:
        source: [n].
        target: [m], marks with what belongs there; one that is not in the source is left out.
        marks: the first mark; all ids from here on are marks.
    """
    borders = np.flatnonzero(target >= marks)
    pieces = np.split(target, borders)[1:]
    spans = {int(piece[0]): piece[1:] for piece in pieces}
    nothing = target[:0]
    parts = [spans.get(token, nothing) if token >= marks else [token] for token in source.tolist()]
    return np.concatenate([nothing, *parts])


def _inserted(tokens: Integers, before: Integers, marks: Integers) -> Integers:
    """Tokens with a mark before some of them, at different places in rising order."""
    made = np.empty(tokens.size + marks.size, dtype=np.int64)
    at = before + np.arange(marks.size)
    made[at] = marks
    made[_others(made.size, at)] = tokens
    return made


def _without(tokens: Integers, places: Integers) -> Integers:
    return tokens[_others(tokens.size, places)]


def _others(size: int, places: Integers) -> npt.NDArray[np.bool_]:
    others = np.ones(size, dtype=np.bool_)
    others[places] = False
    return others


def _some(count: int, keys: Reals) -> Integers:
    """So many different places among the keys, in rising order."""
    return np.sort(np.argsort(keys)[: max(0, count)])
