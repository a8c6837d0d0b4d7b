from __future__ import annotations

import csv
from pathlib import Path

import pytest
from helpers.reading import Make, Read

from dslm.errors import DataError

ROWS = [["id", "text"], ["1", "one"], ["2", 'say "two",\r\nor\n\nthree'], ["3", "drei ä"]]


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t")])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_column_holds_the_texts_and_cells_go_over_lines(
    tmp_path: Path, read: Read, name: str, delimiter: str, mark: str
) -> None:
    with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
        file.write(mark)
        csv.writer(file, delimiter=delimiter).writerows(ROWS)
    found = read(tmp_path / name, quote='"')
    assert found.texts == [row[1] for row in ROWS[1:]]
    assert [document.offset for document in found.documents] == [0, 1, 2]


def test_a_table_without_the_column_is_refused_with_its_columns(make: Make, read: Read) -> None:
    with pytest.raises(
        DataError,
        match=r"a\.csv: has no column 'text'; it has id, body; the first line must name the col",
    ):
        read(make("id,body\n", "a.csv"))
    with pytest.raises(DataError, match="did you mean 'texts'"):
        read(make("id,texts\n", "a.csv"))


def test_a_broken_row_is_reported_and_reading_goes_on(make: Make, read: Read) -> None:
    lines = [
        b"id,text",
        b"1,a" + b"a" * 60,
        b"2",
        b"3,b,c",
        b"",
        b"4,nul\0",
        b"5,\xff",
        b"6,",
        b'7,"c',
        b'd"',
    ]
    found = read(make(b"\n".join(lines), "a.csv"))
    assert found.texts == ["a" * 61, "c\nd"]
    assert found.reasons == ["not a row", "not a row", "NUL bytes", "not UTF-8", "empty"]
    assert [detail.partition(":")[0] for detail in found.details[:4]] == [
        "line 3",
        "line 4",
        "line 6",
        "line 7",
    ]


def test_a_cell_that_is_too_long_is_rejected(make: Make, read: Read) -> None:
    table = f"text\n{'a' * 17}\n{'b' * 16}\n{'c' * 200_000}\nd\n"
    found = read(make(table, "a.csv"), longest=16)
    assert found.texts == ["b" * 16, "d"]
    assert found.reasons == ["too long", "too long"]


def test_an_empty_table_yields_nothing(make: Make, read: Read) -> None:
    assert not read(make("", "a.csv")).documents


def test_a_first_line_that_names_nothing_is_shown_in_short(make: Make, read: Read) -> None:
    table = ",".join(f"{number} \xff\x1b {'word ' * 200}" for number in range(30)) + "\n"
    with pytest.raises(
        DataError, match="and 20 more; the first line must name the columns"
    ) as caught:
        read(make(table.encode("latin-1"), "a.csv"))
    assert len(str(caught.value)) < 800
    assert str(caught.value).isprintable()
