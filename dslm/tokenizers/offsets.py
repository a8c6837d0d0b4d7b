"""Where in a text each of its tokens comes from.

A tokenizer that gives back every byte says so by the bytes of its ids; of others the library that
runs them is asked, and what it says is checked against the ids and the text.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from dslm.arrays import Int64Array, Tokens
from dslm.errors import DataError, Problem
from dslm.tokenizers.tokenizer import Tokenizer


def visible_spans(tokenizer: Tokenizer, text: str) -> Int64Array:
    """The characters of a text that each of its ids stands for, without white space at the ends.

    Tokens that are parts of one character share it. A token of white space alone, or of a space
    that the tokenizer has put before the text, stands for none. Marks that are dropped, such as the
    accents of an uncased BERT, go with the letter before them.

    Returns:
        [ids, 2]: the first character and the one behind the last, both rising; equal for none. The
        ids are those of `encode`.

    Raises:
        DataError: the tokenizer does not say where its ids come from.
    """
    spans = spans_of(tokenizer, text, tokenizer.encode([text])[0])
    return _without_space(text, _with_marks(text, spans))


def spans_of(tokenizer: Tokenizer, text: str, ids: Tokens) -> Int64Array:
    """The characters of a text that each of its ids stands for, white space among them, [ids, 2].

    Args:
        tokenizer: of any kind.
        text: what it has read.
        ids: what it made of it.

    Raises:
        DataError: the tokenizer does not say where its ids come from.
    """
    lengths = tokenizer.byte_lengths
    spans = tokenizer.token_spans(text) if lengths is None else _by_bytes(text, lengths[ids])
    whole = len(spans) == ids.size and (
        not ids.size or 0 <= spans.min() <= spans.max() <= len(text)
    )
    if lengths is not None:
        whole = whole and int(lengths[ids].sum(dtype=np.int64)) == len(text.encode())
    if not whole or (spans[:, 0] > spans[:, 1]).any():
        rule = "the tokenizer does not say from which characters its ids come"
        raise DataError(Problem(f"text {text[:40]!r}", None, rule))
    return spans


def _by_bytes(text: str, lengths: Tokens) -> Int64Array:
    """Spans from the bytes of UTF-8 that each token stands for."""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    sizes = 1 + np.searchsorted([0x80, 0x800, 0x10000], points, "right")
    ends, borders = lengths.cumsum(dtype=np.int64), sizes.cumsum()
    first = np.searchsorted(borders, ends - lengths, "right")
    last = np.searchsorted(borders, ends, "left") + 1
    return np.stack([first, np.where(lengths > 0, last, first)], 1)


def _with_marks(text: str, spans: Int64Array) -> Int64Array:
    """Spans with the marks of which no token comes, such as U+0301 behind an e."""
    covers = np.zeros(len(text) + 1, np.int64)
    np.add.at(covers, spans[:, 0], 1)
    np.add.at(covers, spans[:, 1], -1)
    for place in np.flatnonzero(covers.cumsum()[:-1] == 0).tolist():
        if unicodedata.category(text[place])[0] == "M":
            before = (spans[:, 1] == place) & (spans[:, 0] < place)
            spans[before, 1] = place + 1
    return spans


def _without_space(text: str, spans: Int64Array) -> Int64Array:
    """Spans that begin and end with a character that is to be seen; those of space alone empty."""
    blank = np.array([letter.isspace() for letter in text], bool)
    places = np.arange(len(text))
    behind = np.minimum.accumulate(np.append(np.where(blank, len(text), places), len(text))[::-1])
    before = np.maximum.accumulate(np.insert(np.where(blank, 0, places + 1), 0, 0))
    first = np.minimum(behind[::-1][spans[:, 0]], spans[:, 1])
    return np.stack([first, np.maximum(before[spans[:, 1]], first)], 1)
