"""What an objective has to know of a tokenizer: its special ids, and where words begin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dslm.arrays import Flags, Int64Array
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.tokenizer import Tokenizer, TokenizerCard

ALONE = re.compile(r"[^\w]|_|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""A character that is no part of a longer word: no letter or digit, or Chinese or Japanese."""


@dataclass(frozen=True)
class WordBorders:
    """Which ids can stand at the borders of a word."""

    opens: Flags
    """[vocabulary]: a word begins with this id, whatever comes before it."""
    closes: Flags
    """[vocabulary]: a word ends with this id, whatever follows."""

    @staticmethod
    def of(pieces: Sequence[str]) -> WordBorders:
        """From the text that each id adds."""
        opens = [not piece or bool(ALONE.match(piece[0])) for piece in pieces]
        closes = [
            not piece or bool(ALONE.match(piece[-1]) and not piece[-1].isspace())
            for piece in pieces  # a space goes with the word behind it
        ]
        return WordBorders(np.array(opens), np.array(closes))

    def begin(self, tokens: Int64Array) -> Flags:
        """Where words begin in rows [n, S]; every row begins with one."""
        begins = self.opens[tokens]
        begins[:, 1:] |= self.closes[tokens[:, :-1]]
        begins[:, 0] = True
        return begins


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer, as an objective sees it."""

    size: int
    """Number of ids; an objective may use others from here on."""
    special: Mapping[str, int]
    """Ids that stand for no text, by name."""
    folder: Path
    """Where the tokenizer is."""
    begin: tuple[int, ...] = ()
    """Ids with which every document begins."""
    pair: PairFrame | None = None
    """Those around source and target that came with the tokenizer; see `frame`."""
    gaps: tuple[int, ...] = ()
    """Ids that stand for what is missing of a text, each for one place."""

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Read the card of a tokenizer, not its model.

        Raises:
            DataError: there is no tokenizer.
        """
        return cls.of(TokenizerCard.load(folder), folder)

    @classmethod
    def of(cls, card: TokenizerCard, folder: Path) -> Vocabulary:
        """What a card says of the tokenizer in a folder."""
        return cls(card.vocabulary, card.special, folder, card.begin, card.pair, card.gaps)

    @property
    def frame(self) -> PairFrame:
        """The ids around source and target; without those of the tokenizer two beyond its own."""
        return self.pair or PairFrame(begin=self.size, end=self.size + 1)

    @property
    def frame_ids(self) -> int:
        """How many ids of `frame` are beyond those of the tokenizer."""
        return 0 if self.pair else 2

    def words(self) -> WordBorders:
        """Where words begin; it takes a second for a large vocabulary."""
        return WordBorders.of(piece_texts(load_tokenizer(self.folder)))

    def ordinary(self) -> Int64Array:
        """The ids that stand for text."""
        special = [*self.special.values(), *self.begin, *self.gaps]
        return np.setdiff1d(np.arange(self.size), special)


def piece_texts(tokenizer: Tokenizer) -> list[str]:
    """What each id adds to a text.

    Seen behind another id, because many tokenizers drop a space at the beginning of a text or mark
    what goes on with a word.
    """
    before = _ordinary(tokenizer)
    known = len(tokenizer.decode([before]))
    numbers = range(tokenizer.vocabulary)
    return [tokenizer.decode([before, number])[known:] for number in numbers]


def text_within(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """What some ids in a row add to a text, where each may be a part of a character."""
    before = _ordinary(tokenizer)
    return tokenizer.decode([before, *ids])[len(tokenizer.decode([before])) :]


def _ordinary(tokenizer: Tokenizer) -> int:
    """An id behind which others are seen as they are within a text."""
    numbers = range(tokenizer.vocabulary)
    return next((n for n in numbers if tokenizer.decode([n]).isalnum()), 0)
