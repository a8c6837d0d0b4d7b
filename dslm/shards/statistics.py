"""What became of documents, in numbers: kept for each unit of work, added up in the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field

import numpy as np
from pydantic.dataclasses import dataclass

from dslm.arrays import Int64Array
from dslm.config.parse import STRICT, Count
from dslm.shards.rows import Rows

EXAMPLES = 20
"""Broken records that are described one by one; the others are only counted."""
ELSEWHERE = "in another set"
"""The reason why a document of a split is not in one of its sets."""


@dataclass(config=STRICT)
class TextVolume:
    """An amount of text."""

    documents: Count = 0
    """Documents."""
    tokens: Count = 0
    """Tokens, ends of documents included."""
    text_bytes: Count = 0
    """UTF-8 bytes of their text: the unit of bits per byte."""

    def add(self, other: TextVolume) -> None:
        """Add another amount to this one."""
        self.documents += other.documents
        self.tokens += other.tokens
        self.text_bytes += other.text_bytes


@dataclass(config=STRICT)
class Statistics(TextVolume):
    """What was kept, what was changed, and what was left out and why."""

    sentences: Count = 0
    """Sentences in the documents that were kept."""
    maximum_token: Count = 0
    """The largest id that occurs."""
    changed: dict[str, Count] = field(default_factory=dict)
    """Documents or passages that cleaning changed, by what it did."""
    left_out: dict[str, Count] = field(default_factory=dict)
    """Documents that were read but not kept, by reason."""
    broken: dict[str, Count] = field(default_factory=dict)
    """Records that could not be read, by reason."""
    examples: list[str] = field(default_factory=list)
    """The first broken records: file, line and what is wrong."""
    languages: dict[str, TextVolume] = field(default_factory=dict)
    """What was kept of each language, where languages were identified."""
    invisible: dict[str, Count] = field(default_factory=dict)
    """Characters in the documents that were kept which no reader sees, by what they are called."""
    lengths: list[Count] = field(default_factory=list)
    """Documents that were kept by length: entry b counts those of 2^b … 2^(b+1) - 1 tokens."""

    @property
    def elsewhere(self) -> int:
        """Documents that the other sets of a split hold."""
        return self.left_out.get(ELSEWHERE, 0)

    @property
    def dropped(self) -> dict[str, int]:
        """Documents that no set of a split holds, by reason."""
        return {reason: n for reason, n in self.left_out.items() if reason != ELSEWHERE}

    def add(self, other: TextVolume) -> None:
        """Add what another unit counted; its examples come after those here."""
        super().add(other)
        if not isinstance(other, Statistics):
            return
        self.sentences += other.sentences
        self.maximum_token = max(self.maximum_token, other.maximum_token)
        self.changed = _sum(self.changed, other.changed)
        self.left_out = _sum(self.left_out, other.left_out)
        self.broken = _sum(self.broken, other.broken)
        self.invisible = _sum(self.invisible, other.invisible)
        self.examples = (self.examples + other.examples)[:EXAMPLES]
        for language, volume in other.languages.items():
            self.languages.setdefault(language, TextVolume()).add(volume)
        self.languages = dict(sorted(self.languages.items()))
        self.count_lengths(other.lengths)

    def count_lengths(self, lengths: list[int]) -> None:
        """Add documents by length, counted as in `lengths`."""
        longest = max(len(self.lengths), len(lengths))
        both = [*self.lengths, *[0] * (longest - len(self.lengths))]
        for power, number in enumerate(lengths):
            both[power] += number
        self.lengths = both


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(one) + Counter(other)).items()))


def count(rows: Rows) -> Statistics:
    """The statistics of documents that were kept."""
    sizes = np.diff(rows.ends)
    lengths = np.bincount(np.log2(np.maximum(sizes, 1)).astype(np.int64))
    names = rows.languages if any(rows.languages) else []
    return Statistics(
        documents=len(rows),
        tokens=rows.tokens.size,
        text_bytes=int(rows.text_bytes.sum()),
        sentences=rows.sentences.size,
        maximum_token=int(rows.tokens.max(initial=0)),
        languages=_volumes(names, sizes, rows.text_bytes),
        lengths=lengths.tolist(),
    )


def _volumes(
    names: Sequence[str], sizes: Int64Array, text_bytes: Int64Array
) -> dict[str, TextVolume]:
    languages, which = np.unique(np.array(names, dtype=object), return_inverse=True)
    return {
        str(language): TextVolume(
            int((which == n).sum()), int(sizes[which == n].sum()), int(text_bytes[which == n].sum())
        )
        for n, language in enumerate(languages)
    }
