"""Text to token ids and back.

A tokenizer is a folder: `tokenizer.json`, the card, says what it is, how it was made and the hash
of its model; the model is `tokenizer.model` (SentencePiece) or, for single characters, the text of
all characters in the card itself. Long texts are encoded in chunks that end after a line, which
changes nothing, because a line end is always a token of its own.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.data import record
from dslm.data.manifest import Advance, Input, Reading, Sha256
from dslm.errors import DataError, Problem

CARD = "tokenizer.json"
MODEL = "tokenizer.model"
CHUNK = 8192
"""Characters encoded at a time: enough to hide the cost of a call, few enough for flat memory."""

SPACE = "▁"
"""SentencePiece writes a space as this character, so the character itself goes in as bytes."""

Kind = Literal["unigram", "bpe", "char"]
Tokens = npt.NDArray[Any]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Card:
    """The content of `tokenizer.json`."""

    kind: Kind
    """How text is cut."""
    vocabulary: Annotated[int, Field(ge=1)]
    """Number of ids."""
    special: dict[str, int]
    """Ids that stand for no text, by name: unk, eos, pad, cls, sep, mask."""
    sha256: Sha256
    """The hash of the model, or of the characters in UTF-8."""
    characters: str | None = None
    """All characters in the order of their ids (only for kind = char)."""
    sample_bytes: int | None = None
    """Bytes of text it was trained on, at most; null = all of the text."""
    reading: Reading = Reading()
    """How the texts it was trained on were read."""
    inputs: tuple[Input, ...] = ()
    """The files it was trained on."""

    @classmethod
    def load(cls, folder: Path) -> Card:
        """Read `tokenizer.json` from a folder.

        Raises:
            DataError: it is missing or is not a card.
        """
        return record.load(cls, folder / CARD, "tokenizer", "train_tokenizer")


class Tokenizer(ABC):
    """Text to ids and back; `decode` undoes `encode` exactly.

    Args:
        card: what `tokenizer.json` says.
        model: what `tokenizer.model` holds; empty for kind = char.
    """

    def __init__(self, card: Card, model: bytes) -> None:
        self.card = card
        self.kind = card.kind
        self.vocabulary = card.vocabulary
        self.sha256 = card.sha256
        self.special = card.special
        self.end_of_document = card.special.get("eos")
        self.dtype = np.dtype(np.uint16 if card.vocabulary <= 1 << 16 else np.uint32)

    @staticmethod
    def load(folder: Path | str) -> Tokenizer:
        """Open a tokenizer folder.

        Raises:
            DataError: the folder holds no tokenizer, or its model is not the one it was made with.
        """
        folder = Path(folder)
        card = Card.load(folder)
        path = folder / (CARD if card.characters is not None else MODEL)
        model = (card.characters or "").encode()
        if card.kind != "char":
            model = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(model).hexdigest() != card.sha256:
            rule = f"its bytes have changed since {CARD} was written" if model else "no such file"
            raise DataError(Problem(str(path), None, rule, "copy the folder again or train again"))
        return KINDS[card.kind](card, model)

    def encode(self, texts: Sequence[str], progress: Advance | None = None) -> list[Tokens]:
        """The ids of each text, without an end of document.

        Args:
            texts: whole documents, of any length.
            progress: called with the number of UTF-8 bytes encoded since the last call.

        Returns:
            One array for each text, in the smallest unsigned type that holds every id.

        Raises:
            DataError: a character that the tokenizer does not know (only for kind = char).
        """
        return [np.concatenate([*self._encode(text, progress)]) for text in texts]

    def _encode(self, text: str, progress: Advance | None) -> Iterator[Tokens]:
        for chunk in chunks(text, CHUNK):
            yield self._ids(chunk)
            if progress:
                progress(len(chunk.encode()))

    @abstractmethod
    def _ids(self, text: str) -> Tokens:
        """The ids of a short text."""

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; special ones give none."""


class CharacterTokenizer(Tokenizer):
    """One id for each character of the training text, and no other."""

    def __init__(self, card: Card, model: bytes) -> None:
        super().__init__(card, model)
        self._points = np.frombuffer(model.decode().encode("utf-32-le"), dtype="<u4")
        self._lookup = np.full(0x110000, -1, dtype=np.int32)
        self._lookup[self._points] = np.arange(self._points.size)

    def _ids(self, text: str) -> Tokens:
        points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        ids: Tokens = self._lookup[points]
        if (unknown := points[ids < 0]).size:
            character = chr(unknown[0])
            rule = f"is not among the {self.vocabulary} characters of the tokenizer"
            fix = "train the tokenizer on all of the text"
            name = f"character {character!r} (U+{unknown[0]:04X})"
            raise DataError(Problem(name, None, rule, fix))
        return np.asarray(ids, dtype=self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        """The characters of some ids."""
        points: Tokens = self._points[np.fromiter(ids, dtype=np.int64)]
        return points.tobytes().decode("utf-32-le")


class SentencePieceTokenizer(Tokenizer):
    """Pieces of words, with bytes for what no piece covers.

    Kudo 2018 (unigram) and Sennrich et al. 2016 (bpe), through the SentencePiece library.
    """

    def __init__(self, card: Card, model: bytes) -> None:
        import sentencepiece

        super().__init__(card, model)
        self._model = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._space = [self._model.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE.encode()]

    def _ids(self, text: str) -> Tokens:
        first, *rest = text.split(SPACE)
        ids = self._model.encode(first)
        for part in rest:
            ids += self._space + self._model.encode(part)
        return np.array(ids, dtype=self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids."""
        return str(self._model.decode([int(token) for token in ids]))


KINDS: dict[str, type[Tokenizer]] = {
    "unigram": SentencePieceTokenizer,
    "bpe": SentencePieceTokenizer,
    "char": CharacterTokenizer,
}


def chunks(text: str, size: int) -> Iterator[str]:
    """Cut a text after a line end, else before a space, else anywhere, every `size` characters."""
    start = 0
    while len(text) - start > size:
        end = (
            text.rfind("\n", start, start + size) + 1  # 0 when there is none
            or max(text.rfind(" ", start + 1, start + size), 0)
            or start + size
        )
        yield text[start:end]
        start = end
    yield text[start:]
