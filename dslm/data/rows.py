"""Documents as a shard holds them: flat arrays of tokens and sentence starts, and their origins.

The way of a document: the tokenizer gives the ids of a whole batch in one flat array, each document
closed by its end; sentences are found in the text, and since every id stands for a known number of
bytes, a running sum turns the place of a sentence in the text into its place among the ids. A
tokenizer whose ids lose text (lower-casing, for one) encodes sentence by sentence instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.data.document import Document
from dslm.data.sentences import sentence_starts
from dslm.data.tokenizer import Tokenizer

Integers = npt.NDArray[np.int64]
Tokens = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Some documents, tokenized."""

    tokens: Tokens
    """The ids of all documents, each with its end."""
    ends: Integers
    """[documents + 1]: where each document begins in `tokens`, and where the last one ends."""
    sentences: Integers
    """The first token of each sentence, counted from that of its document."""
    sentence_ends: Integers
    """[documents + 1]: where the sentences of each document begin in `sentences`."""
    inputs: Integers
    """[documents]: `Document.input`."""
    places: Integers
    """[documents]: `Document.place`."""
    languages: list[str]
    """[documents]: `Document.language`."""
    hashes: list[bytes]
    """[documents]: sha256 of the text."""
    text_bytes: Integers
    """[documents]: UTF-8 bytes of the text."""

    def __len__(self) -> int:
        return self.ends.size - 1

    def slice(self, start: int, stop: int) -> Rows:
        """The documents from `start` to before `stop`."""
        first, last = self.ends[start], self.ends[stop]
        first_sentence, last_sentence = self.sentence_ends[start], self.sentence_ends[stop]
        return Rows(
            tokens=self.tokens[first:last],
            ends=self.ends[start : stop + 1] - first,
            sentences=self.sentences[first_sentence:last_sentence],
            sentence_ends=self.sentence_ends[start : stop + 1] - first_sentence,
            inputs=self.inputs[start:stop],
            places=self.places[start:stop],
            languages=self.languages[start:stop],
            hashes=self.hashes[start:stop],
            text_bytes=self.text_bytes[start:stop],
        )


def tokenize(documents: Sequence[Document], tokenizer: Tokenizer) -> Rows:
    """Tokenize documents, find their sentences and hash their texts.

    Raises:
        DataError: a character that the tokenizer does not know.
    """
    texts = [document.text for document in documents]
    raw = [text.encode() for text in texts]
    text_bytes = np.array([len(text) for text in raw], dtype=np.int64)
    starts = [sentence_starts(text) for text in texts]
    if tokenizer.byte_lengths is None:
        ids, ends, sentences = _by_sentence(texts, starts, tokenizer)
    else:
        ids, ends = tokenizer.encode_batch(texts)
        borders = [_byte_places(text, places) for text, places in zip(texts, starts, strict=True)]
        token_starts = _running(tokenizer.byte_lengths[ids])
        sentences = _among_ids(borders, _running(text_bytes), token_starts, ends)
    firsts = np.concatenate([[0], ends])
    if tokenizer.end_of_document is not None:
        ids = np.insert(ids, ends, tokenizer.end_of_document)
        firsts += np.arange(firsts.size)
    return Rows(
        tokens=ids,
        ends=firsts,
        sentences=sentences,
        sentence_ends=_running([len(places) for places in starts]),
        inputs=np.array([document.input for document in documents], dtype=np.int64),
        places=np.array([document.place for document in documents], dtype=np.int64),
        languages=[document.language for document in documents],
        hashes=[hashlib.sha256(text).digest() for text in raw],
        text_bytes=text_bytes,
    )


def _among_ids(
    borders: Sequence[Sequence[int]], firsts: Integers, token_starts: Integers, ends: Integers
) -> Integers:
    """The token at which each sentence begins: the first that begins at or after it.

    Args:
        borders: for each document the bytes at which its sentences begin.
        firsts: the first byte of each document in the text of all.
        token_starts: the byte at which each token begins in the text of all.
        ends: the token after the last one of each document.
    """
    counts = [len(places) for places in borders]
    flat = np.fromiter((place for places in borders for place in places), np.int64, sum(counts))
    found = np.searchsorted(token_starts, flat + np.repeat(firsts[:-1], counts))
    starts: Integers = found - np.repeat(np.concatenate([[0], ends[:-1]]), counts)
    return starts


def _byte_places(text: str, places: Sequence[int]) -> Sequence[int]:
    """Places among the characters of a text as places among its UTF-8 bytes."""
    if text.isascii():
        return places
    borders = [*places[1:], len(text)]
    parts = [len(text[a:b].encode()) for a, b in zip(places, borders, strict=True)]
    return [0, *np.cumsum(parts[:-1]).tolist()]


def _by_sentence(
    texts: Sequence[str], starts: Sequence[Sequence[int]], tokenizer: Tokenizer
) -> tuple[Tokens, Integers, Integers]:
    """The same when only the tokenizer knows how many ids a sentence takes."""
    sentences = [
        text[a:b]
        for text, places in zip(texts, starts, strict=True)
        for a, b in zip(places, [*places[1:], len(text)], strict=True)
    ]
    ids, sentence_ends = tokenizer.encode_batch(sentences)
    counts = [len(places) for places in starts]
    ends = sentence_ends[np.cumsum(counts) - 1]
    firsts = np.concatenate([[0], sentence_ends[:-1]])
    return ids, ends, firsts - np.repeat(np.concatenate([[0], ends[:-1]]), counts)


def _running(counts: npt.ArrayLike) -> Integers:
    """[n + 1]: the sums of the first 0, 1, … n numbers."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
