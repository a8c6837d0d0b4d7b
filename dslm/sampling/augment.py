"""Changes made to rows of tokens while training, other ones each time a row is seen.

The path of a batch: its sentences are put in another order, some tokens are left out, some are
replaced by others of the corpus, some rows lose their capitals; then each row is cut to its
length. What happens to a row is a function of (seed, sample number) and of the row: it does not
depend on its neighbours in the batch.

A row that loses tokens needs others to take their place. So rows come in longer than they go out,
by `margin`, and what follows moves up.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Flags, Int64Array, Tokens
from dslm.config.parse import STRICT
from dslm.sampling.stateless_random import RandomStream, Reals, stateless_random


@dataclass(config=STRICT, frozen=True, kw_only=True)
class AugmentationConfig:
    """What is changed, and how often."""

    shuffle_sentences: bool = False
    """Put the sentences of each document of a row in random order (Lewis et al., "BART", 2020)."""
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the tokens that are left out (Wei and Zou, "EDA", 2019, random deletion)."""
    replace: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the tokens that are replaced by others, drawn as often as they occur (Xie et al.,
    "Data Noising as Smoothing in Neural Network Language Models", 2017, unigram noising)."""
    lower_case: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the rows that are written in small letters where the vocabulary has them."""


@dataclasses.dataclass(frozen=True)
class Tables:
    """What has to be known of a vocabulary."""

    cumulative: Int64Array
    """Occurrences of this id and of all before it; shape [vocabulary]."""
    lower: Int64Array
    """The id of each id in small letters; shape [vocabulary]."""
    special: Flags
    """Ids that are never changed and never drawn; shape [vocabulary]."""
    end_of_document: int
    """The special id behind the last token of a document; -1 where documents have none."""
    begin: tuple[int, ...] = ()
    """The special ids before the text of a document."""

    @staticmethod
    def build(
        pieces: Sequence[str],
        counts: Int64Array,
        special: Sequence[int],
        end_of_document: int,
        begin: tuple[int, ...] = (),
    ) -> Tables:
        """Make the tables of a vocabulary.

        Args:
            pieces: the text of each id.
            counts: how often each id occurs; shape [vocabulary].
            special: ids that stand for no text.
            end_of_document: one of them, or -1.
            begin: the ids before the text of a document.
        """
        unchanged = np.isin(np.arange(len(pieces)), [*special, end_of_document, *begin])
        drawn = np.where(unchanged, 0, counts)
        return Tables(np.cumsum(drawn), lower_cased(pieces), unchanged, end_of_document, begin)


def lower_cased(pieces: Sequence[str]) -> Int64Array:
    """The id of each piece in small letters, or its own where the vocabulary has none.

    A piece without capitals keeps its id, even if another one has the same text: all parts of
    characters decode alike.

    Args:
        pieces: the text of each id.

    Returns:
        Shape [vocabulary].
    """
    ids: dict[str, int] = {}
    for number, piece in enumerate(pieces):
        ids.setdefault(piece, number)
    return np.array(
        [
            number if piece == piece.lower() else ids.get(piece.lower(), number)
            for number, piece in enumerate(pieces)
        ]
    )


def margin(length: int, drop: float) -> int:
    """Tokens a row needs beyond `length` to make up for those left out.

    That is the mean of what is left out of the longer row and six standard deviations: one row in
    a billion would need more, and then keeps some tokens near its end that it should have lost.
    """
    mean = length * drop / (1 - drop)
    return math.ceil(mean + 6 * math.sqrt(mean / (1 - drop)))


def augment(
    rows: Tokens,
    sentences: Flags,
    samples: Int64Array,
    length: int,
    settings: AugmentationConfig,
    seed: int,
    tables: Tables,
) -> Tokens:
    """Change rows at random.

    Args:
        rows: shape [B, length + margin], of any integer type.
        sentences: True where a sentence begins, in the shape of the rows; read only if sentences
            are put in another order.
        samples: the sample number of each row; shape [B].
        length: tokens of a row that goes out.
        settings: what is changed.
        seed: another seed makes other changes.
        tables: the vocabulary.

    Returns:
        Shape [B, length], in the type of the rows.
    """
    width = rows.shape[1]
    if settings.shuffle_sentences:
        keys = stateless_random(seed, samples, width, RandomStream.SHUFFLE)
        rows = _shuffled(rows, sentences, keys, tables)
    if settings.drop:
        dropped = stateless_random(seed, samples, width, RandomStream.DROP) < settings.drop
        rows = _without(rows, dropped & ~tables.special[rows], width - length)
    if settings.replace:
        replaced = stateless_random(seed, samples, width, RandomStream.REPLACE) < settings.replace
        replaced &= ~tables.special[rows]
        numbers = stateless_random(seed, samples, width, RandomStream.DRAW)[replaced]
        rows = rows.copy()
        rows[replaced] = _drawn(tables.cumulative, numbers)
    if settings.lower_case:
        chosen = stateless_random(seed, samples, 1, RandomStream.LOWER) < settings.lower_case
        lower = chosen & ~tables.special[rows]
        rows = np.where(lower, tables.lower[rows], rows).astype(rows.dtype)
    return rows[:, :length]


def _shuffled(rows: Tokens, sentences: Flags, keys: Reals, tables: Tables) -> Tokens:
    """The rows with the sentences of each document in the order of their keys.

    Args:
        rows: shape [B, S].
        sentences: True where a sentence begins; shape [B, S].
        keys: a number in [0, 1) for each sentence of a row; shape [B, S], most of it not used.
        tables: has the ids that stay before and behind the sentences of a document.
    """
    ends = rows == tables.end_of_document
    documents = np.cumsum(ends, axis=1) - ends
    begins = sentences | (np.diff(documents, axis=1, prepend=0) > 0)
    begins[:, 0] = False
    key = np.take_along_axis(keys, np.cumsum(begins, axis=1), axis=1)
    key = np.where(ends, 0.75, np.where(np.isin(rows, tables.begin), -0.1, key / 2))
    order = np.argsort(documents + key, axis=1, kind="stable")
    return np.take_along_axis(rows, order, axis=1)


def _without(rows: Tokens, dropped: Flags, most: int) -> Tokens:
    """The rows with what follows a dropped token moved up, and the dropped ones at the end.

    Args:
        rows: shape [B, S].
        dropped: which tokens; shape [B, S].
        most: how many a row may lose; the first ones are.
    """
    dropped &= np.cumsum(dropped, axis=1) <= most
    return np.take_along_axis(rows, np.argsort(dropped, axis=1, kind="stable"), axis=1)


def _drawn(cumulative: Int64Array, numbers: Reals) -> Int64Array:
    """The id for each number in [0, 1), each id as often as it occurs."""
    found: Int64Array = np.searchsorted(cumulative, numbers * cumulative[-1], side="right")
    return found
