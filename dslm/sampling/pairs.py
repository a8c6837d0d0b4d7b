"""A shard set as pairs of segments: whole sentences that follow each other, or do not.

The path of a row: its index and its shift name a token, the sentence that holds it begins the row.
Sentences are taken from there to the end of the document or until the row is full, and parted at
the beginning of one of them: A and B (Devlin et al. 2018, appendix A.2). For half of the samples B
is something else: sentences of another document from a random one on, or, for sentence order (Lan
et al. 2020, section 3.1), A and B swapped. The row is [CLS] A [SEP] B [SEP] and padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from dslm.arrays import Int64Array, Tokens
from dslm.errors import Problem
from dslm.sampling.shifts import Shifts, first_tokens
from dslm.sampling.stateless_random import RandomStream, stateless_random
from dslm.sampling.stream import TokenSpan
from dslm.shards.shard_set import ShardSet

Relation = Literal["next_sentence", "sentence_order"]

SPECIAL = ("cls", "sep")
"""The special ids without which there are no such rows."""


class PairRows:
    """A shard set cut into pairs.

    Args:
        shards: the set; at least two of its documents have two tokens of text.
        sequence: tokens of a row.
        relation: what the two segments of a pair may be to each other.
        special: `SPECIAL` ids by name, and pad and eos, if there are any.
        short: share of the rows that are made shorter at random.
        seed: another seed makes other pairs.
    """

    def __init__(
        self,
        shards: ShardSet,
        sequence: int,
        relation: Relation,
        special: dict[str, int],
        short: float,
        seed: int,
    ) -> None:
        self.shards, self.width, self.relation = shards, sequence, relation
        self.padding = special.get("pad", special["sep"])
        self._special, self._short, self._seed = special, short, seed
        self._room = sequence - 3
        self._begin, self._end = len(shards.begin), 1 if "eos" in special else 0

    def __len__(self) -> int:
        return -(-self.shards.tokens // self._room)

    def rows(self, indices: Int64Array, numbers: Int64Array, shifts: Shifts = 0.0) -> Tokens:
        """Some of the rows, as they are in these samples; shape [len(indices), width]."""
        segments = np.array(self._segments(indices, numbers, shifts)).reshape(-1, 2, 2)
        starts, lengths = segments[..., 0], segments[..., 1] - segments[..., 0]
        rows = np.full((indices.size, self.width), self.padding, dtype=self.shards.dtype)
        parted = 1 + lengths[:, :1]
        end = parted + 1 + lengths[:, 1:]
        position = np.arange(self.width)
        rows[:, 0] = self._special["cls"]
        rows[(position == parted) | (position == end)] = self._special["sep"]
        text = (position > 0) & (position != parted) & (position < end)
        rows[text] = self.shards.spans(starts.ravel(), lengths.ravel())
        return rows

    def lengths(self, indices: Int64Array, rows: Tokens) -> Int64Array:
        """The tokens of each row up to its second [SEP]."""
        seen = np.cumsum(rows == self._special["sep"], axis=1)
        found: Int64Array = 1 + np.argmax(seen == 2, axis=1)
        return found

    def token_spans(self, index: int, number: int, shift: float = 0.0) -> list[TokenSpan]:
        """The two segments of a row when it is that sample."""
        return self._segments(np.array([index]), np.array([number]), shift)[0]

    def _segments(
        self, indices: Int64Array, numbers: Int64Array, shifts: Shifts
    ) -> list[list[TokenSpan]]:
        """The two segments of each row."""
        draws = stateless_random(self._seed, numbers, 5, RandomStream.PAIR).tolist()
        swapped = unrelated(self._seed, numbers).tolist()
        tokens = first_tokens(indices, self._room, self.shards.tokens, shifts).tolist()
        rows = zip(tokens, draws, swapped, strict=True)
        return [self._pair(token, row, other) for token, row, other in rows]

    def _pair(self, token: int, draws: list[float], unrelated: int) -> list[TokenSpan]:
        """The two segments of a row: random numbers decide, and whether they are unrelated."""
        room = self._room
        if draws[0] < self._short:
            room = 2 + int(draws[1] * (room - 1))
        document = self._document_at(token)
        start, _ = self._text(document)
        borders = self._borders(
            document, room, lambda starts: int(np.searchsorted(starts, token - start, "right")) - 1
        )
        inner = [border for border in borders[1:-1] if border < borders[0] + room] or borders[1:2]
        parted = inner[int(draws[2] * len(inner))]
        most = room - max(1, room // 4)  # a quarter is B's
        first = max(borders[0], parted - most), parted
        left = room - (parted - first[0])
        second = parted, min(borders[-1], parted + left)
        if not unrelated:
            return [first, second]
        if self.relation == "sentence_order":
            return [second, first]
        return [first, self._elsewhere(document, draws[3], draws[4], left)]

    def _document_at(self, token: int) -> int:
        """The number of a token's document, or of the next that has two tokens of text."""
        number = int(self.shards.documents_at(np.array([min(token, self.shards.tokens - 1)]))[0])
        start, end = self._text(number)
        while end - start < 2:
            number = (number + 1) % self.shards.documents
            start, end = self._text(number)
        return number

    def _borders(self, document: int, room: int, choose: Callable[[Int64Array], int]) -> list[int]:
        """Where sentences of a document begin, from a chosen one on.

        At least two do: one more from before, or the half of a single one.

        Args:
            document: its number.
            room: tokens wanted; the last border is past it, or the end of the document.
            choose: from where its sentences begin, counted from its text, to one of them.
        """
        start, end = self._text(document)
        starts = self.shards.sentences_of(document) - self._begin
        starts = starts[(np.diff(starts, prepend=-1) > 0) & (starts < end - start)]
        here = max(0, min(choose(starts), starts.size - 2))
        past = int(np.searchsorted(starts, starts[here] + 2 * room)) + 1
        borders = {*(start + starts[here:past]).tolist(), *([end] if past >= starts.size else [])}
        if len(borders) == 2:
            borders.add(sum(borders) // 2)
        return sorted(borders)

    def _elsewhere(self, document: int, where: float, sentence: float, room: int) -> TokenSpan:
        """From a sentence of any other document on, all of its sentences equally likely.

        The document is that of any token, so that long ones are taken as often as they begin rows.
        """
        start, after = self.shards.document(document)
        token = int(where * (self.shards.tokens - (after - start)))
        other = self._document_at(token if token < start else token + after - start)
        if other == document:  # those between were too short, and this one came next
            other = self._document_at(after % self.shards.tokens)
        borders = self._borders(other, room, lambda starts: int(sentence * starts.size))
        return borders[0], min(borders[-1], borders[0] + room)

    def _text(self, document: int) -> TokenSpan:
        """The tokens of a document without what is put before and behind its text."""
        start, end = self.shards.document(document)
        return start + self._begin, end - self._end


def check_pairs(shards: ShardSet) -> list[Problem]:
    """A problem when a shard set has no two documents that a pair could be made of."""
    if np.count_nonzero(shards.lengths() - len(shards.begin) > 2) > 1:
        return []
    rule = "needs two documents of three tokens at least for a pair of segments"
    fix = "shard the text with a document a file, a line or a block: see shard.py --help"
    return [Problem(str(shards.folder), None, rule, fix)]


def unrelated(seed: int, numbers: Int64Array) -> Int64Array:
    """1 for the samples whose segments do not follow each other in this order: half of all."""
    draws = stateless_random(seed, numbers, 1, RandomStream.RELATION)[:, 0]
    return (draws < 0.5).astype(np.int64)
