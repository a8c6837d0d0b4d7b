from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dslm.sampling.packing import pack

documents = some.lists(some.integers(0, 50), max_size=60)
sequences = some.integers(1, 20)


def best_fit_decreasing(lengths: list[int], sequence: int) -> list[list[int]]:
    """The textbook's algorithm, one item at a time."""
    rows: list[list[int]] = []
    for length in sorted(lengths, reverse=True):
        fitting = [row for row in rows if sum(row) + length <= sequence]
        if not fitting:
            fitting = [[]]
            rows += fitting
        max(fitting, key=sum).append(length)
    return rows


@given(lengths=documents, sequence=sequences)
def test_every_token_of_every_document_is_in_one_piece(lengths: list[int], sequence: int) -> None:
    packing = pack(np.array(lengths, dtype=np.int64), sequence)
    tokens = [
        (document, token)
        for document, start, length in zip(
            packing.document, packing.start, packing.length, strict=True
        )
        for token in range(start, start + length)
    ]
    assert sorted(tokens) == [(d, t) for d, length in enumerate(lengths) for t in range(length)]


@given(lengths=documents, sequence=sequences)
def test_rows_are_filled_as_the_textbook_fills_them(lengths: list[int], sequence: int) -> None:
    packing = pack(np.array(lengths, dtype=np.int64), sequence)
    filled = [int(row.sum()) for row in np.split(packing.length, packing.rows[1:-1])]
    whole = [sequence for length in lengths for _ in range(length // sequence)]
    remainders = [length % sequence for length in lengths if length % sequence]
    expected = whole + [sum(row) for row in best_fit_decreasing(remainders, sequence)]
    assert sorted(filled) == sorted(expected or [0])


def test_only_documents_longer_than_a_row_are_cut() -> None:
    packing = pack(np.array([7, 25, 10, 3]), 10)
    cut = np.flatnonzero(np.bincount(packing.document) > 1)
    assert cut.tolist() == [1]


def test_pieces_of_a_row_are_in_the_order_of_the_documents() -> None:
    packing = pack(np.array([2, 5, 3, 10, 12]), 10)
    pieces = zip(packing.document, packing.start, packing.length, strict=True)
    rows = np.split(np.array(list(pieces)), packing.rows[1:-1])
    assert [row.tolist() for row in rows] == [
        [[3, 0, 10]],
        [[4, 0, 10]],
        [[0, 0, 2], [1, 0, 5], [2, 0, 3]],
        [[4, 10, 2]],
    ]


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_nothing_makes_no_rows(lengths: list[int]) -> None:
    packing = pack(np.array(lengths, dtype=np.int64), 8)
    assert packing.rows.tolist() == [0]
    assert packing.document.size == 0


@pytest.mark.parametrize("spread", [1.0, 1.5])
def test_rows_of_a_corpus_are_filled_to_one_part_in_a_thousand(spread: float) -> None:
    draw = np.random.default_rng(0)
    lengths = 1 + draw.lognormal(np.log(600) - spread**2 / 2, spread, 100_000).astype(np.int64)
    packing = pack(lengths, 2048)
    assert lengths.sum() / (2048 * (packing.rows.size - 1)) >= 0.999
