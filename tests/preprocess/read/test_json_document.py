from __future__ import annotations

import json

import pytest
from helpers.reading import Make, Read

POEMS = [{"title": "a", "paragraphs": ["one", "two"]}, {"title": "b", "paragraphs": ["three"]}]


@pytest.mark.parametrize("key", ["paragraphs[]", "[].paragraphs[]"])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_elements_of_a_list_are_documents(
    make: Make, read: Read, key: str, indent: int | None
) -> None:
    found = read(make(b"\xef\xbb\xbf" + json.dumps(POEMS, indent=indent).encode()), text_key=key)
    assert found.texts == ["one\ntwo", "three"]
    assert [document.offset for document in found.documents] == [0, 1]


@pytest.mark.parametrize(
    ("value", "key", "texts"),
    [
        ({"text": "one"}, "text", ["one"]),
        ({"a": {"b": ["one", "two"]}}, "a.b[]", ["one\ntwo"]),
        ({"poems": POEMS}, "poems[].title", ["a", "b"]),
        ({"poems": POEMS}, "poems[].paragraphs[]", ["one\ntwo", "three"]),
        (["one", "two"], "[]", ["one", "two"]),
    ],
)
def test_a_path_leads_to_the_texts(
    make: Make, read: Read, value: object, key: str, texts: list[str]
) -> None:
    assert read(make(json.dumps(value, indent=1)), text_key=key).texts == texts


def test_a_broken_record_is_reported_and_reading_goes_on(make: Make, read: Read) -> None:
    values = [{"text": "a"}, {"texts": "b"}, 5, {"text": None}, {"text": "c", "id": 10**30}]
    found = read(make(json.dumps(values)))
    assert found.texts == ["a", "c"]
    assert found.reasons == ["no text key", "not a JSON object", "not text"]
    assert found.details[0] == "record 1: no 'text'; add --text-key texts"


@pytest.mark.parametrize(
    ("end", "reason"),
    [(b', {"text": "b', "cut short"), (b", x]", "not JSON"), (b', {"text": "\xff"}]', "not UTF-8")],
)
def test_what_came_before_the_damage_is_kept(
    make: Make, read: Read, end: bytes, reason: str
) -> None:
    found = read(make(b'[{"text": "a"}' + end))
    assert found.texts == ["a"]
    assert found.reasons == [reason]
    assert found.rejected[0].broken
    assert found.details[0].startswith("record 1: ")


def test_a_damaged_record_among_a_hundred_costs_itself(make: Make, read: Read) -> None:
    whole = [json.dumps({"text": f"text {n}", "tags": ["a"]}, indent=2) for n in range(100)]
    texts = [f"text {n}" for n in range(100)]
    for between, before, after in (("\n", "", ""), (",\n", "[", "]"), ("\n", "", "\n")):
        damaged = [*whole]
        damaged[50] = damaged[50].replace('": ', ": ", 1)
        found = read(make(before + between.join(damaged) + after, "a.json"))
        assert found.texts == texts[:50] + texts[51:]
        assert found.reasons == ["not JSON"]


def test_an_object_on_one_line_is_streamed_however_long_it_is(make: Make, read: Read) -> None:
    line = json.dumps({"v": 1, "data": [{"text": f"text {n} {'x' * 500}"} for n in range(500)]})
    path = make(f"{line}\n{line}\n", "a.jsonl")
    assert len(line) > 4 * 1000 + (1 << 16)
    found = read(path, longest=1000, text_key="data[].text")
    assert len(found.texts) == 1000
    assert not found.rejected
    assert "see --longest" in read(path, longest=1000).details[0]


def test_a_record_without_an_end_is_not_held(make: Make, read: Read) -> None:
    found = read(make(b'[{"text": "a"}, {"text": "' + b"b" * 500_000 + b'"}]'), longest=1000)
    assert found.texts == ["a"]
    assert found.reasons == ["too long"]


def test_a_path_to_no_list_is_reported(make: Make, read: Read) -> None:
    found = read(make('{\n"text": "a"}'), text_key="data[].text")
    assert found.reasons == ["no text key"]
    assert "'data[]'" in found.details[0]
