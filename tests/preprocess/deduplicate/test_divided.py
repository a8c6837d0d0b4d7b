"""Signatures divided by ranges of hashes: nothing is lost, and a file gives back what was saved."""

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
from dslm.preprocess.deduplicate.divided import Divided, Range, divide, number_all, ranges_of
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.signatures import signatures

ALL = Duplicates(documents=True, paragraphs=True, near=True, paragraph_characters=5, bands=3)
TEXTS = ["one two three four five six", "", "春眠不觉晓\n处处闻啼鸟", "a\n\nbbbbb", "one"]


def lists(found: Divided) -> list[object]:
    """All that is held, to compare."""
    columns: list[npt.NDArray[Any]] = [found.hashes.values, found.hashes.offsets]
    columns += [found.places.values, found.places.offsets, found.ends, found.bare]
    return [column.tolist() for column in columns]


@given(
    st.lists(st.lists(st.sampled_from([*TEXTS, "b c", "..."]), max_size=6), min_size=1, max_size=3),
    st.integers(1, 5),
)
def test_all_ranges_together_hold_each_hash_once_with_its_place(
    texts: list[list[str]], ranges: int
) -> None:
    signed = [signatures(one, ALL) for one in texts]
    parts = [divide(one, ranges) for one in signed]
    found: dict[str, list[tuple[int, ...]]] = {}
    for number in range(ranges):
        one = Range(parts, number, ranges)
        columns = {"exact": one.exact, "paragraphs": one.paragraphs}
        columns |= {f"band {n}": band for n, band in enumerate(one.bands)}
        for name, arrays in columns.items():
            rows = list(zip(*(array.tolist() for array in arrays), strict=True))
            assert all((row[0] >> 32) * ranges >> 32 == number for row in rows)
            assert [row[-1] for row in rows] == sorted(row[-1] for row in rows)
            found.setdefault(name, []).extend(rows)
    for name, rows in found.items():
        wanted: list[tuple[int, ...]] = []
        for part, one in enumerate(signed):
            columns = {"exact": one.exact, "paragraphs": (one.paragraphs.values,)}
            columns |= {f"band {n}": (band,) for n, band in enumerate(one.bands)}
            values = [array.tolist() for array in columns[name]]
            places = number_all(part, np.arange(len(values[0]))).tolist()
            wanted += list(zip(*values, places, strict=True))
        if name.startswith("band"):  # texts without words are near to no other
            wanted = [row for row in wanted if row[0]]
        assert sorted(rows, key=lambda row: row[-1]) == wanted


def test_there_are_as_many_ranges_as_units_but_enough_and_not_too_many() -> None:
    assert [ranges_of(units) for units in (1, 16, 17, 64, 1024, 4000)] == [
        16,
        16,
        17,
        64,
        1024,
        1024,
    ]


@pytest.mark.parametrize("texts", [TEXTS, []])
@pytest.mark.parametrize("settings", [ALL, Duplicates(), Duplicates(near=True, bands=3)])
def test_a_file_gives_back_what_was_saved(
    texts: list[str], settings: Duplicates, tmp_path: Path
) -> None:
    found = divide(signatures(texts, settings), 4)
    found.save(tmp_path / "unit")
    assert lists(Divided.load(tmp_path / "unit")) == lists(found)
    assert os.listdir(tmp_path) == ["unit"]


def test_the_same_texts_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        divide(signatures(TEXTS, ALL), 4).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files as Linux shows them")
def test_loaded_signatures_keep_no_file_open(tmp_path: Path) -> None:
    divide(signatures(TEXTS, ALL), 4).save(tmp_path / "unit")
    Divided.load(tmp_path / "unit")
    before = len(os.listdir("/proc/self/fd"))
    loaded = [Divided.load(tmp_path / "unit") for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert np.array_equal(loaded[-1].bare, loaded[0].bare)


@pytest.mark.parametrize("content", [b"", b"no Arrow at all", None])
def test_a_file_that_is_not_whole_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "unit"
    divide(signatures(TEXTS, ALL), 4).save(path)
    path.write_bytes(path.read_bytes()[:-9] if content is None else content)
    with pytest.raises(DataError, match=r"unit: cannot be read: .*; remove it and run again"):
        Divided.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unit: cannot be read"):
        Divided.load(tmp_path / "unit")
