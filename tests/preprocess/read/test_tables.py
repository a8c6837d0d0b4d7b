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
    assert not found.counts


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
        DataError, match="and 20 more; the first line must name the columns, and --text-key"
    ) as caught:
        read(make(table.encode("latin-1"), "a.csv"))
    assert len(str(caught.value)) < 800
    assert str(caught.value).isprintable()


def test_an_unclosed_quote_costs_its_row_and_no_other(make: Make, read: Read) -> None:
    rows = "".join(f'{number},"text {number}\nof two lines"\n' for number in range(50))
    found = read(make(f'id,text\n0,"never closed\n{rows}', "a.csv"))
    assert found.texts == [f"text {number}\nof two lines" for number in range(50)]
    assert found.details == ["line 2: a quote is not closed"]


def test_a_row_that_closes_the_quote_of_another_is_kept(make: Make, read: Read) -> None:
    found = read(make('id,text\n1,"open\n2,"\nsecond"\n3,third\n', "a.csv"))
    assert found.texts == ["\nsecond", "third"]
    assert found.reasons == ["not a row"]


def test_a_row_over_lines_is_kept_beside_a_broken_one(make: Make, read: Read) -> None:
    found = read(make('id,text\n1,"one\ntwo"\n2\n3,third\n', "a.csv"))
    assert found.texts == ["one\ntwo", "third"]


def test_tsv_has_no_quotes_unless_told(make: Make, read: Read) -> None:
    path = make('id\ttext\n1\t"one\n2\t"two"\n', "a.tsv")
    assert read(path).texts == ['"one', '"two"']
    assert read(path, quote='"').texts == ["two"]


def test_delimiter_and_quote_are_what_the_user_says(make: Make, read: Read) -> None:
    path = make("id;text\n1;'a;b'\n2;\"c\n", "a.csv")
    with pytest.raises(DataError, match="if ';' stands between cells, add --delimiter"):
        read(path)
    assert read(path, delimiter=";", quote="'").texts == ["a;b", '"c']
    assert read(path, delimiter=";", quote="none").reasons == ["not a row"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_row_and_stays_within_a_cell(make: Make, read: Read, end: str) -> None:
    found = read(make(end.join(["id,text", f'1,"a{end}b"', "2,c"]), "a.csv"))
    assert found.texts == [f"a{end}b", "c"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (f"{'x' * 200},text\nhello,1\n", "too long: a name of 200 characters; see --longest"),
        ('id,"text\n1,a\n2,b"c\n', "a quote is not closed; mend it, or see --quote"),
        (f"{'x' * 70_000}\na\n", "too long: 70001 bytes; see --longest"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(
    make: Make, read: Read, content: str, why: str
) -> None:
    with pytest.raises(DataError, match=rf"its first line must name the columns, but is .*{why}"):
        read(make(content, "a.csv"), longest=16)


def test_instructions_are_rendered(make: Make, read: Read) -> None:
    found = read(make("instruction,input,output\nSay it.,now,It.\n", "a.csv"))
    assert found.texts == ["User: Say it.\n\nnow\n\nAssistant: It."]
    assert found.counts == {"rendered from chat": 1}
