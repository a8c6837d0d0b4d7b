from __future__ import annotations

import json
import tracemalloc

import pytest
from helpers.reading import Make, Read

BROKEN = b"sound \xff\xfe text"
NAME = "a.jsonl"


def test_json_lines_are_documents_and_blank_lines_are_not(make: Make, read: Read) -> None:
    content = b'\xef\xbb\xbf{"text": "one\\ntwo", "id": 1}\r\n\n{"text": "drei \xc3\xa4"}'
    found = read(make(content))
    assert found.texts == ["one\ntwo", "drei ä"]
    assert [document.offset for document in found.documents] == [3, content.rindex(b"{")]
    assert not found.rejected


@pytest.mark.parametrize(
    ("record", "key", "texts"),
    [
        ({"text": "no", "body": "yes"}, "body", ["yes"]),
        ({"a": {"b": "deep"}}, "a.b", ["deep"]),
        ({"paragraphs": ["one", "two"]}, "paragraphs[]", ["one\ntwo"]),
        ({"a": [{"b": "one"}, {"b": "two"}]}, "a[].b", ["one", "two"]),
        ({"a": [{"b": ["1", "2"]}, {"b": ["3"]}]}, "a[].b[]", ["1\n2", "3"]),
        ({"a": [["1", "2"], ["3"]]}, "a[][]", ["1\n2", "3"]),
    ],
)
def test_a_path_leads_to_the_text(
    make: Make, read: Read, record: object, key: str, texts: list[str]
) -> None:
    assert read(make(json.dumps(record)), text_key=key).texts == texts


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        ('{"text": "cut', "not JSON", "line 2: Unterminated string starting at column 10"),
        ('["text"]', "not a JSON object", "line 2: found text"),
        ("5", "not a JSON object", "line 2: found a number"),
        ('{"texts": "a"}', "no text key", "line 2: no 'text'; add --text-key texts"),
        ('{"body": "a", "id": 1}', "no text key", "line 2: no 'text'; add --text-key body"),
        ('{"id": 1, "n": 2}', "no text key", "line 2: no 'text'; it has id, n"),
        ('{"text": 5}', "not text", "line 2: found a number"),
        ('{"text": null}', "not text", "line 2: found null"),
        ('{"text": "a\\u0000b"}', "NUL bytes", "line 2"),
        ('{"text": "a\0b"}', "NUL bytes", "line 2"),
        ("[" * 20_000, "not JSON", "line 2: "),
    ],
)
@pytest.mark.parametrize("size", [8, 1 << 40])
def test_a_broken_line_is_reported_and_reading_goes_on(
    make: Make, read: Read, line: bytes, reason: str, detail: str, size: int
) -> None:
    found = read(make(f'{{"text": "fine"}}\n{line}\n{{"text": "fine"}}\n', NAME), size)
    assert found.texts == ["fine", "fine"]
    assert found.reasons == [reason]
    assert found.details[0].startswith(detail)
    assert found.rejected[0].broken
    assert found.rejected[0].offset == 17


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"text": "' + BROKEN + b'"}', "not UTF-8", "line 2: byte 33 (0xff)"),
        (b'{"text": "half \\ud83d!"}', "half a surrogate pair", "line 2: U+D83D"),
    ],
)
def test_invalid_text_follows_the_policy(
    make: Make, read: Read, line: bytes, reason: str, detail: str
) -> None:
    path = make(b'{"text": "fine"}\n' + line + b'\n{"text": "ok"}\n')
    refused = read(path)
    assert (refused.reasons, refused.details) == ([reason], [detail])
    assert refused.rejected[0].broken
    skipped = read(path, invalid_utf8="skip")
    assert skipped.reasons == [reason]
    assert not skipped.rejected[0].broken
    replaced = read(path, invalid_utf8="replace")
    assert replaced.texts[1] in ("sound \ufffd\ufffd text", "half \ufffd!")
    assert replaced.counts == {"replaced": 1}


def test_what_only_python_writes_is_read(make: Make, read: Read) -> None:
    line = json.dumps({"text": "a", "loss": float("nan"), "id": 10**30})
    assert read(make(line)).texts == ["a"]


def test_documents_without_text_are_rejected_as_empty(make: Make, read: Read) -> None:
    found = read(make('{"text": ""}\n{"text": "b"}\n{"text": " \\n"}\n'))
    assert found.texts == ["b"]
    assert [(one.reason, one.broken) for one in found.rejected] == [("empty", False)] * 2


def test_a_text_that_is_too_long_is_rejected(make: Make, read: Read) -> None:
    found = read(make(f'{{"text": "{"a" * 17}"}}\n{{"text": "{"b" * 16}"}}'), longest=16)
    assert found.texts == ["b" * 16]
    assert (found.reasons, found.details) == (["too long"], ["line 1: 17 characters"])


def test_a_line_that_is_too_long_is_never_held(make: Make, read: Read) -> None:
    path = make(b'{"text": "fine"}\n{"text": "' + b"a" * 20_000_000 + b'"}\n{"text": "last"}')
    tracemalloc.start()
    found = read(path, longest=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.texts == ["fine", "last"]
    assert (found.reasons, found.details) == (
        ["too long"],
        ["line 2: more than 69536 bytes; see --longest"],
    )
    assert peak < 2_000_000
