"""One id for each character of the training text, and no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dslm.arrays import Tokens
from dslm.errors import DataError, Problem
from dslm.tokenizers.tokenizer import Encoded, Tokenizer, TokenizerCard
from dslm.tokenizers.tokenizer_json import characters_json


class CharacterTokenizer(Tokenizer):
    """Characters by their index among those that `TokenizerCard.characters` lists."""

    def __init__(self, card: TokenizerCard, files: Mapping[str, bytes]) -> None:
        super().__init__(card, files)
        characters = card.characters or ""
        self._points = np.frombuffer(characters.encode("utf-32-le"), dtype="<u4")
        self._lookup = np.full(0x110000, -1, dtype=np.int32)
        self._lookup[self._points] = np.arange(self._points.size)

    def _encode(self, parts: Sequence[str]) -> Encoded:
        points = np.frombuffer("".join(parts).encode("utf-32-le"), dtype="<u4")
        ids: Tokens = self._lookup[points]
        if (unknown := points[ids < 0]).size:
            character = chr(unknown[0])
            rule = f"is not among the {self.vocabulary} characters of the tokenizer"
            fix = "train the tokenizer on all of the text"
            name = f"character {character!r} (U+{unknown[0]:04X})"
            raise DataError(Problem(name, None, rule, fix))
        return ids.astype(self.dtype), np.cumsum([len(part) for part in parts], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The characters of some ids."""
        points: Tokens = self._points[np.fromiter(ids, dtype=np.int64)]
        return points.tobytes().decode("utf-32-le")

    def _json(self) -> str:
        return characters_json(self.card.characters or "")

    def _measured(self) -> Tokens:
        """UTF-8 takes one byte, and one more from each of these code points on."""
        return 1 + np.searchsorted([0x80, 0x800, 0x10000], self._points, "right").astype(np.int32)
