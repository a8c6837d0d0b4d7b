from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from helpers.reading import Make, Read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BROKEN = b"sound \xff\xfe text"


def test_a_text_file_is_one_document_whose_line_ends_are_line_feeds(make: Make, read: Read) -> None:
    found = read(make(b"\xef\xbb\xbfone\r\ntwo\r\r three \n"))
    assert found.texts == ["one\ntwo\n\n three \n"]
    assert found.documents[0].offset == 3
    assert found.counts == {"CRLF read as LF": 1}


def test_line_ends_cost_nothing_where_a_text_is_cut(make: Make, read: Read) -> None:
    for shift in range(20):
        text = "x" * shift + "ab\r\n" * 30
        found = read(make(text), longest=16)
        assert "".join(found.texts) == text.replace("\r\n", "\n")
        text = "x" * (30 + shift) + "\r\n" + "y" * 30  # no good place to cut at
        assert "".join(read(make(text), longest=16).texts) == text.replace("\r\n", "\n")


def test_blocks_stand_between_blank_lines(make: Make, read: Read) -> None:
    text = "\n\none\r\ntwo\r\n \t\r\n  three\n\n\n"
    found = read(make(text), documents="block")
    assert found.texts == ["one\ntwo", "  three"]
    assert [document.offset for document in found.documents] == [2, text.index("  three")]


def test_lines_are_documents_and_blank_ones_are_rejected_as_empty(make: Make, read: Read) -> None:
    found = read(make("one\r\n\n  two\nthree"), documents="line")
    assert found.texts == ["one", "  two", "three"]
    assert [(one.reason, one.broken, one.offset) for one in found.rejected] == [("empty", False, 5)]


@pytest.mark.parametrize(("mode", "reported"), [("file", ["empty"]), ("block", []), ("line", [])])
def test_an_empty_file_yields_nothing_and_is_reported_when_it_should_be_one_document(
    make: Make, read: Read, mode: str, reported: list[str]
) -> None:
    found = read(make(""), documents=mode)
    assert not found.documents
    assert found.reasons == reported


@pytest.mark.parametrize("size", [1, 1 << 40])
def test_invalid_text_is_refused_with_its_line_and_byte(make: Make, read: Read, size: int) -> None:
    path = make(b"\xef\xbb\xbffine\n\n" + BROKEN + b"\nfine\n")
    found = read(path, size, documents="line")
    assert found.texts == ["fine", "fine"]
    assert found.reasons == ["empty", "not UTF-8"]
    assert found.details[1] == "line 3: byte 15 (0xff)"
    assert found.rejected[1].broken


def test_invalid_text_is_replaced_or_skipped_when_asked(make: Make, read: Read) -> None:
    path = make(b"fine\n" + BROKEN)
    replaced = read(path, documents="line", invalid_utf8="replace")
    assert replaced.texts == ["fine", "sound \ufffd\ufffd text"]
    assert replaced.counts == {"replaced": 1}
    skipped = read(path, documents="line", invalid_utf8="skip")
    assert skipped.texts == ["fine"]
    assert [(one.reason, one.broken) for one in skipped.rejected] == [("not UTF-8", False)]


def test_a_document_with_nul_bytes_is_broken(make: Make, read: Read) -> None:
    found = read(make("some fine words\nnul \0 in a line of words\n"), documents="line")
    assert found.texts == ["some fine words"]
    assert (found.reasons, found.details) == (["NUL bytes"], ["line 2"])


def test_a_document_that_is_too_long_is_cut_at_the_best_place(make: Make, read: Read) -> None:
    text = "first paragraph.\n\nsecond one is here.\nwith lines and words" + "x" * 30
    found = read(make(text), longest=30)
    assert found.texts == [
        "first paragraph.\n\n",
        "second one is here.\n",
        "with lines and words" + "x" * 10,
        "x" * 20,
    ]
    assert found.counts == {"cut": 1}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(st.sampled_from([b"a", "語".encode(), "😀".encode(), b"\n", b" ", b"\xff"])),
    longest=st.integers(16, 20),
)
def test_the_parts_of_a_document_are_the_document(
    make: Make, read: Read, content: bytes, longest: int
) -> None:
    raw = b"x" + b"".join(content * 3) + b"x"
    found = read(make(raw), longest=longest, invalid_utf8="replace")
    expected = raw.decode("utf-8", "replace")
    parts = iter(found.texts)
    rest = expected
    for part in parts:  # only white space may be lost between two of them
        assert rest.lstrip().startswith(part.lstrip())
        rest = rest.lstrip()[len(part.lstrip()) :]
    assert not rest
    assert all(len(part) <= longest for part in found.texts)


def test_a_line_of_exactly_the_longest_length_is_not_cut(make: Make, read: Read) -> None:
    found = read(make("語" * 16 + "\r\n" + "b" * 16 + "\n"), documents="line", longest=16)
    assert found.texts == ["語" * 16, "b" * 16]
    assert not found.rejected


def test_no_character_is_cut_in_two(make: Make, read: Read) -> None:
    for shift in range(8):
        text = "x" * shift + "😀" * 100
        assert "".join(read(make(text), longest=16).texts) == text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize("size", [4, 1 << 40])
def test_lines_and_blocks_end_as_in_unix_windows_and_the_old_macintosh(
    make: Make, read: Read, end: str, packed: Callable[[bytes], bytes], size: int
) -> None:
    path = make(packed(end.join(["one", "two", "", "three", ""]).encode()))
    assert read(path, size, documents="line").texts == ["one", "two", "three"]
    assert read(path, size, documents="block").texts == ["one\ntwo", "three"]


def test_a_long_text_of_mixed_line_ends_is_split_at_each(make: Make, read: Read) -> None:
    ends = ["\n", "\r\n", "\r"]
    lines = [f"{'x' * (number % 7)}{number}" for number in range(60_000)]
    text = "".join(line + ends[number % 3] for number, line in enumerate(lines))
    for size in (1 << 16, 1 << 40):
        assert read(make(text), size, documents="line").texts == lines


def test_byte_order_marks_within_a_text_are_taken_out_and_counted(make: Make, read: Read) -> None:
    joined = "one\n".encode("utf-8-sig") + "two\n".encode("utf-8-sig")
    for mode, texts in (("line", ["one", "two"]), ("file", ["one\ntwo\n"])):
        found = read(make(joined), documents=mode)
        assert found.texts == texts
        assert found.counts == {"byte order marks removed": 1}
