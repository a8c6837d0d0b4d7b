"""Documents as a shard holds them: flat arrays of tokens and sentence starts, and where they began.

The path of a document: the tokenizer gives the ids of a whole batch in one flat array, each
document behind what the tokenizer puts before a text and closed by its end; sentences are found in
the text, and since every id stands for a known number of bytes, a running sum turns the byte at
which a sentence begins into a token. A tokenizer whose ids lose text (lower-casing, for one) is
asked where in the text its ids begin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array, Tokens
from dslm.preprocess.document import Document
from dslm.preprocess.text.sentence_batch import sentences_of
from dslm.shards.rows import Rows
from dslm.tokenizers.tokenizer import Tokenizer

WINDOW = 1 << 20
"""Tokens whose offsets in the text are held at a time."""

COMPARED = 4
"""Tokens at the end of a sentence that are looked for in its document."""


def tokenize(documents: Sequence[Document], tokenizer: Tokenizer) -> Rows:
    """Tokenize documents, find their sentences and hash their texts.

    Raises:
        DataError: a character that the tokenizer does not know.
    """
    texts = [document.text for document in documents]
    encoded = [text.encode() for text in texts]
    found = sentences_of(texts, encoded)
    ids, ends = tokenizer.encode_batch(texts)
    firsts = np.concatenate([[0], ends])
    text_bytes = np.array([*map(len, encoded)], dtype=np.int64)
    if tokenizer.byte_lengths is None:
        sentences = _among_changed(texts, found.of_each(), ids, firsts, tokenizer)
    else:
        borders = found.bytes + np.repeat(_running(text_bytes)[:-1], found.counts)
        sentences = _among_ids(borders, ids, tokenizer.byte_lengths)
        sentences -= np.repeat(firsts[:-1], found.counts)
    end = [] if tokenizer.end_of_document is None else [tokenizer.end_of_document]
    added = [*tokenizer.begin, *end]
    places = [firsts[:-1]] * len(tokenizer.begin) + [ends] * len(end)
    if added:
        ids = np.insert(ids, np.stack(places, axis=1).ravel(), np.tile(added, len(texts)))
        firsts += len(added) * np.arange(firsts.size)
        sentences += len(tokenizer.begin)
    return Rows(
        tokens=ids,
        ends=firsts,
        sentences=sentences,
        sentence_ends=_running(found.counts),
        inputs=np.array([document.input for document in documents], dtype=np.int64),
        offsets=np.array([document.offset for document in documents], dtype=np.int64),
        languages=[document.language for document in documents],
        hashes=[hashlib.sha256(text).digest() for text in encoded],
        text_bytes=text_bytes,
    )


def _among_ids(borders: Int64Array, ids: Tokens, lengths: Tokens) -> Int64Array:
    """The token at which each sentence begins: the first that begins at or after it.

    Args:
        borders: the bytes at which sentences begin in the text of all documents, rising.
        ids: the tokens of that text.
        lengths: the bytes of each id.
    """
    found = np.empty_like(borders)
    done = end = 0
    for first in range(0, ids.size, WINDOW):  # of a long text, all offsets at once are too many
        begins = end + _running(lengths[ids[first : first + WINDOW]])
        end = begins[-1]
        more = int(np.searchsorted(borders, end, "right"))
        found[done:more] = first + np.searchsorted(begins, borders[done:more])
        done = more
    return found


def _among_changed(
    texts: Sequence[str],
    starts: Sequence[Int64Array],
    ids: Tokens,
    firsts: Int64Array,
    tokenizer: Tokenizer,
) -> Int64Array:
    """The first token of each sentence when only the tokenizer knows what became of the text.

    Where the sentences of a document, each encoded by itself, are seen again in the ids of the
    whole, they are counted there; where not, the tokenizer is asked where every token begins.

    Args:
        texts: the documents.
        starts: the characters at which the sentences of each begin.
        ids: the tokens of all documents.
        firsts: the first token of each document, and the number of all tokens.
        tokenizer: what made them.
    """
    parts = (
        text[a:b]
        for text, begins in zip(texts, starts, strict=True)
        for a, b in pairwise([*begins.tolist(), len(text)])
    )
    alone, ends = tokenizer.encode_batch(list(parts))
    ends = np.concatenate([[0], ends])
    found, done = [], 0
    for text, begins, (first, last) in zip(texts, starts, pairwise(firsts), strict=True):
        counted = ends[done : done + begins.size + 1]
        done += begins.size
        sentences = alone[counted[0] : counted[-1]]
        seen = _seen_again(sentences, counted - counted[0], ids[first:last])
        if seen is None:
            seen = np.searchsorted(tokenizer.token_spans(text)[:, 0], begins)
        found.append(seen)
    return np.concatenate(found)


def _seen_again(alone: Tokens, ends: Int64Array, whole: Tokens) -> Int64Array | None:
    """Where the sentences of a document begin among its ids; `None` when one is not found.

    A tokenizer that puts a space before every text may begin a sentence that stands alone with
    other ids, and one more or less. So sentences are compared by their ends.

    Args:
        alone: the ids of its sentences.
        ends: [sentences + 1]: where each begins in `alone`, and where the last one ends.
        whole: the ids of the document.
    """
    if np.array_equal(alone, whole):
        return ends[:-1]
    size = whole.itemsize
    sought, text = alone.tobytes(), whole.tobytes()  # many short arrays take long to compare
    found = [0]
    for first, last in pairwise(ends.tolist()):
        tail = sought[max(first + 1, last - COMPARED) * size : last * size]
        near = (found[-1] + last - first + shift for shift in (0, -1, 1))
        seen = (end for end in near if text[end * size - len(tail) : end * size] == tail)
        if (end := next(seen, None)) is None:
            return None
        found.append(end)
    return np.array(found[:-1], np.int64) if found[-1] == whole.size else None


def _running(counts: npt.ArrayLike) -> Int64Array:
    """[n + 1]: the sums of the first 0, 1, … n numbers."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
