"""Signatures: what they distinguish, and their files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.errors import DataError
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


@pytest.mark.parametrize("texts", [TEXTS, []])
@pytest.mark.parametrize("settings", [ALL, Duplicates(), Duplicates(near=True, bands=3)])
def test_a_file_gives_back_what_was_saved(
    texts: list[str], settings: Duplicates, tmp_path: Path
) -> None:
    found = signatures(texts, settings)
    found.save(tmp_path / "unit")
    assert lists(Signatures.load(tmp_path / "unit")) == lists(found)
    assert os.listdir(tmp_path) == ["unit"]


def test_the_same_texts_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        signatures(TEXTS, ALL).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files as Linux shows them")
def test_loaded_signatures_keep_no_file_open(tmp_path: Path) -> None:
    signatures(TEXTS, ALL).save(tmp_path / "unit")
    Signatures.load(tmp_path / "unit")
    before = len(os.listdir("/proc/self/fd"))
    loaded = [Signatures.load(tmp_path / "unit") for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert np.array_equal(loaded[-1].bare, loaded[0].bare)


@pytest.mark.parametrize("content", [b"", b"no Arrow at all", None])
def test_a_file_that_is_not_whole_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "unit"
    signatures(TEXTS, ALL).save(path)
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    with pytest.raises(DataError, match=r"unit: cannot be read: .*; remove it and run again"):
        Signatures.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unit: cannot be read"):
        Signatures.load(tmp_path / "unit")
