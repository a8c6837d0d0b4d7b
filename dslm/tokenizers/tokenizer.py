"""Text to token ids and back.

A tokenizer is a folder: `card.json` says what it is, how it was made and the hash of its model; the
model lies beside it, in a file or two that depend on the kind, or, for single characters, is the
text of all characters in the card itself. `tokenizer.json` is the same tokenizer for `transformers`
and `tokenizers`, wherever it can be expressed there. Other people's tokenizers open without a card
and get one when they are saved.

The path of a text: long ones are cut where a cut changes nothing, the parts of many texts are
encoded together, and the ids of all come back as one flat array with the end of each text in it.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Int64Array, Tokens
from dslm.config.parse import STRICT
from dslm.errors import DataError, Problem
from dslm.files import record
from dslm.files.fingerprint import Input, Sha256
from dslm.progress import Advance
from dslm.tokenizers.chunking import CHUNK, Span, lines
from dslm.tokenizers.frame import NONE, Frame
from dslm.tokenizers.pair_frame import Id, PairFrame
from dslm.tokenizers.tokenizer_json import prove

CARD = "card.json"
JSON = "tokenizer.json"
"""Hugging Face's own format; in folders of older versions the name of the card."""
MODEL = "tokenizer.model"
GROUP = 1 << 20
"""Characters that are encoded together, at least: many short texts cost one call."""

TokenizerKind = Literal["unigram", "bpe", "char"]
ThirdPartyKind = Literal["sentencepiece", "hugging-face", "gpt2", "bert"]
AnyTokenizerKind = Literal[TokenizerKind, ThirdPartyKind]
Encoded = tuple[Tokens, Int64Array]
"""The ids of several texts, one text after the other, and where each ends."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class TokenizerCard:
    """The content of `card.json`."""

    kind: AnyTokenizerKind
    """How text is cut: one of ours, or whose files the model is made of."""
    vocabulary: Annotated[int, Field(ge=1)]
    """Number of ids."""
    special: dict[str, int]
    """Ids that stand for no text, by name: unk, bos, eos, pad, cls, sep, mask."""
    begin: tuple[Id, ...] = ()
    """Ids that stand before every document and every prompt; see `tokenizers.frame`."""
    pair: PairFrame | None = None
    """Ids around source and target, of an encoder–decoder that came with the tokenizer."""
    gaps: tuple[Id, ...] = ()
    """Ids that stand for what is missing of a text, each for one place (T5: <extra_id_0> …)."""
    chat_template: str | None = None
    """How chats are rendered, in Jinja's language, of a tokenizer that came with this."""
    sha256: Sha256
    """The hash of the model's files one after the other, or of the characters in UTF-8."""
    characters: str | None = None
    """All characters in the order of their ids (only for kind = char)."""
    sample_bytes: int | None = None
    """Bytes of text it was trained on, at most; null = all of the text."""
    reading: dict[str, str | int] = field(default_factory=dict)
    """How the texts it was trained on were read."""
    inputs: tuple[Input, ...] = ()
    """The files it was trained on."""
    documents: Annotated[int, Field(ge=0)] = 0
    """How many they held; 0 = not known."""
    invisible: dict[str, int] = field(default_factory=dict)
    """Characters in them that no reader sees, by what they are called."""

    @classmethod
    def load(cls, folder: Path) -> TokenizerCard:
        """Read the card of a folder.

        Raises:
            DataError: it is missing or is not a card.
        """
        path = card_path(folder) or folder / JSON
        return record.load(cls, path, "tokenizer", "train_tokenizer")


def card_path(folder: Path) -> Path | None:
    """The card of a folder, or `None` in a folder without one."""
    card, older = folder / CARD, folder / JSON
    if card.is_file():
        return card
    try:
        content = json.loads(older.read_bytes())
    except (OSError, ValueError):
        return None
    return older if isinstance(content, dict) and "sha256" in content else None


class Tokenizer(ABC):
    """Text to ids and back.

    Our own kinds undo `encode` by `decode` exactly, as does every tokenizer with `byte_lengths`.

    Args:
        card: what `card.json` says.
        files: the content of the folder's other files by name: the model (none for kind = char),
            and `tokenizer.json` where it has been made already.
    """

    def __init__(self, card: TokenizerCard, files: Mapping[str, bytes]) -> None:
        self.card = card
        self.files = files
        self.kind = card.kind
        self.vocabulary = card.vocabulary
        self.sha256 = card.sha256
        self.special = card.special
        self.begin = card.begin
        self.end_of_document = card.special.get("eos")
        self.dtype = np.dtype(np.uint16 if card.vocabulary <= 1 << 16 else np.uint32)

    def save(self, folder: Path) -> None:
        """Write the card and the model's files, from which `load` makes the same tokenizer.

        `tokenizer.json` is left out where the tokenizer cannot be expressed exactly. The folder is
        made if it is not there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = dict(self.files)
        if JSON not in files:
            with suppress(DataError):
                files[JSON] = self.tokenizer_json().encode()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        record.save(self.card, folder / CARD)

    def tokenizer_json(self) -> str:
        """The content of Hugging Face's `tokenizer.json`, proved on texts made to be hard.

        Raises:
            DataError: it cannot be written so that ids stay the same.
        """
        content = self._json()
        prove(content, lambda text: self.encode([text])[0].tolist(), self.card.characters)
        return content

    @cached_property
    def frame(self) -> Frame:
        """What the tokenizer itself puts around a text; of ours none puts anything."""
        return NONE

    def _json(self) -> str:
        """The same without a proof."""
        rule = f"a tokenizer of kind {self.kind} cannot be written as {JSON}"
        fix = f"train with the {JSON} that belongs to it, or with one of ours"
        raise DataError(Problem("tokenizer", None, rule, fix))

    def prompt(self, text: str) -> list[int]:
        """The ids from which a model goes on: those of a text behind `begin`.

        An empty text begins a document; none where the tokenizer has no id for that.
        """
        first = self.special.get("bos", self.end_of_document)
        ids = [*self.begin, *self.encode([text])[0].tolist()]
        return ids or ([] if first is None else [first])

    def encode(self, texts: Sequence[str], progress: Advance | None = None) -> list[Tokens]:
        """The ids of each text as an array of its own; see `encode_batch`."""
        ids, ends = self.encode_batch(texts, progress)
        return [ids[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=False)]

    def encode_batch(self, texts: Sequence[str], progress: Advance | None = None) -> Encoded:
        """The ids of all texts in one array, without ends of documents.

        Args:
            texts: whole documents, of any length.
            progress: called with the number of UTF-8 bytes encoded since the last call.

        Returns:
            The ids, in the smallest unsigned type that holds every id of the vocabulary, and for
            each text the position after its last id.

        Raises:
            DataError: a character that the tokenizer does not know (only for kind = char).
        """
        flat, counts = [np.empty(0, self.dtype)], np.zeros(len(texts), np.int64)
        for parts, owners, size in self._groups(texts, progress is not None):
            ids, ends = self._encode(parts)
            np.add.at(counts, owners, np.diff(ends, prepend=0))
            flat.append(ids)
            if progress:
                progress(size)
        return np.concatenate(flat), counts.cumsum()

    def _groups(
        self, texts: Sequence[str], measured: bool
    ) -> Iterator[tuple[list[str], list[int], int]]:
        """Parts of texts, the number of the text of each, and, if asked for, their bytes."""
        parts: list[str] = []
        owners: list[int] = []
        characters = size = 0
        for number, text in enumerate(texts):
            done = 0
            for start, end in self._spans(text):
                parts.append(text[start:end])
                owners.append(number)
                characters += end - start
                size += len(text[done:end].encode()) if measured else 0
                done = end
                if characters >= GROUP:
                    yield parts, owners, size
                    parts, owners, characters, size = [], [], 0, 0
        yield parts, owners, size

    def _spans(self, text: str) -> Iterator[Span]:
        """Where to cut a long text."""
        return lines(text, CHUNK)

    @abstractmethod
    def _encode(self, parts: Sequence[str]) -> Encoded:
        """The ids of short texts."""

    def token_spans(self, text: str) -> Int64Array:
        """Where each id of a text comes from, [ids, 2]: its first character, the one behind it.

        Both rise. Only for a tokenizer without `byte_lengths`; much slower than `encode`. See
        `dslm.tokenizers.offsets` for any.
        """
        parts = [
            start + np.array(self._token_spans(text[start:end]), np.int64).reshape(-1, 2)
            for start, end in self._spans(text)
        ]
        spans: Int64Array = np.maximum.accumulate(np.concatenate(parts))
        return spans

    def _token_spans(self, part: str) -> list[Span]:
        """The same for a short text."""
        raise NotImplementedError

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; special ones give none."""

    @cached_property
    def byte_lengths(self) -> Tokens | None:
        """UTF-8 bytes of text that each id stands for, [vocabulary] int32.

        The lengths of a text's ids add up to the length of the text; `None` for a tokenizer that
        changes text, so that this cannot be.
        """
        return self._measured()

    @abstractmethod
    def _measured(self) -> Tokens | None:
        """What `byte_lengths` is."""


def model_hash(files: Mapping[str, bytes]) -> str:
    """The sha256 of a model's files, one after the other."""
    return hashlib.sha256(b"".join(files.values())).hexdigest()
