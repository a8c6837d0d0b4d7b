"""Signatures: what they distinguish."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.signatures import Signatures, signatures

ALL = Duplicates(documents=True, paragraphs=True, near=True, paragraph_characters=5)
TEXTS = [
    "one two three four five six",
    "",
    "春眠不觉晓\n处处闻啼鸟",
    "bad \ud800 half",
    "a\n\nbbbbb",
]


def lists(found: Signatures) -> list[object]:
    """All that signatures hold, to compare."""
    columns: list[npt.NDArray[Any]] = [*found.exact, *found.bands, found.bare]
    columns += [found.paragraphs.values, found.paragraphs.offsets]
    return [column.tolist() for column in columns]


def test_white_space_makes_no_difference_to_exact_duplicates_and_all_else_does() -> None:
    texts = ["a b c", "a  b\n\tc \r\n", "a b C", "a b. c"]
    low, high = signatures(texts, Duplicates(documents=True)).exact
    for half in (low.tolist(), high.tolist()):
        assert half[0] == half[1]
        assert len(set(half)) == 3


def test_paragraphs_are_signed_one_by_one() -> None:
    found = signatures(["same line\nother line", "short", "same line"], ALL)
    assert found.paragraphs.lengths.tolist() == [2, 1, 1]
    assert found.paragraphs[0][0] == found.paragraphs[2][0] != found.paragraphs[0][1]


def test_bare_is_a_document_of_paragraphs_and_nothing_else() -> None:
    assert signatures(["long line\nlong line", "a\n\nlong line", "a", ""], ALL).bare.tolist() == [
        1,
        0,
        0,
        0,
    ]


def test_what_is_off_takes_no_room() -> None:
    found = signatures(TEXTS, Duplicates())
    assert (len(found), found.exact, found.bands, found.paragraphs.values.size) == (5, (), (), 0)


@given(
    st.lists(st.text(st.sampled_from("ab \n春"), max_size=20), min_size=1, max_size=8), st.data()
)
def test_signatures_do_not_depend_on_the_batch(texts: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(texts)))
    parts = [signatures(texts[:cut], ALL), signatures(texts[cut:], ALL)]
    assert lists(Signatures.concatenate(parts)) == lists(signatures(texts, ALL))
