from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from backports import zstd
from helpers.damage import Damage, damages
from helpers.reading import Make, Read
from hypothesis import HealthCheck, given, settings

OFTEN = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
Packer = Callable[[bytes], bytes]
PACKERS: list[Packer] = [bytes, gzip.compress, zstd.compress, bz2.compress, lzma.compress]
FORMS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def archive(files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def record(text: str) -> bytes:
    return json.dumps({"text": text}).encode()


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("form", FORMS)
def test_each_file_is_read_as_what_it_is(make: Make, read: Read, packed: Packer, form: int) -> None:
    long = "/".join(["folder"] * 14) + "/name.txt" if form == 0 else "ordner/" * 40 + "ü.txt"
    files = {
        "./a/plain.txt": b"one file",
        "lines.jsonl": record("first") + b"\n" + record("second") + b"\n",
        "table.csv": b"id,text\n1,cell\n",
        "packed.jsonl.gz": gzip.compress(record("packed")),
        "wide.txt": "weit".encode("utf-16"),
        long: b"langer Name",
        "empty.txt": b"",
        ".git/config": b"hidden",
        "._lines.jsonl": b"hidden",
        "picture.png": bytes(range(256)),
    }
    found = read(make(packed(archive(files, form))))
    texts = ["one file", "first", "second", "cell", "packed", "weit", "langer Name"]
    assert found.texts == texts
    assert found.reasons == ["empty", "no text"]
    assert +found.counts == {"read as utf-16": 1}


def test_a_document_says_where_it_lies_and_an_error_in_which_file(make: Make, read: Read) -> None:
    content = archive({"a.jsonl": record("one") + b"\n" + record("two"), "b.jsonl": b"\n5\n{}\n"})
    found = read(make(content))
    for document in found.documents:
        assert json.loads(content[document.offset :][:15])["text"] == document.text
    assert found.details[0] == "b.jsonl, line 2: found a number"


def test_neighbours_of_one_key_are_one_record(make: Make, read: Read) -> None:
    files = {
        "1.jpg": bytes(99),
        "1.json": record("about the caption"),
        "1.txt": b"caption 1",
        "2.txt": b"caption 2",
        "2.json": record("about the caption"),
        "3.jpg": bytes(99),
        "3.json": record("caption 3"),
        "4.jpg": bytes(99),
    }
    found = read(make(archive(files)))
    assert found.texts == ["caption 1", "caption 2", "caption 3"]
    assert found.reasons == ["no text"], "of the fourth, which is only a picture"


def test_archives_behind_each_other_are_one(make: Make, read: Read) -> None:
    two = archive({"a.txt": b"one"}) + archive({"b.txt": b"two"})
    found = read(make(two))
    assert (found.texts, found.rejected) == (["one", "two"], [])


def test_nothing_is_written_and_links_are_not_followed(
    make: Make, read: Read, tmp_path: Path
) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            entry = tarfile.TarInfo("link.txt")
            entry.type, entry.linkname = kind, "/etc/hostname"
            tar.addfile(entry)
        for name in ("/etc/absolute.txt", "../../outside.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"text"))
    before = sorted(tmp_path.rglob("*"))
    found = read(make(made.getvalue(), "a.tar"))
    assert found.texts == ["text", "text"]
    assert sorted(path for path in tmp_path.rglob("*") if path.name != "a.tar") == before


TEXTS = [f"number {number} of many" for number in range(12)]
SAMPLES = {f"{number:03}.json": record(text) for number, text in enumerate(TEXTS)}


@OFTEN
@given(damage=damages)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_a_damaged_place_costs_one_file(make: Make, read: Read, damage: Damage, form: int) -> None:
    whole = archive(SAMPLES, form).rstrip(b"\0")
    found = read(make(damage.of(whole) + bytes(-len(whole) % 512 + 1024), "a.tar"))
    assert len([text for text in found.texts if text in TEXTS]) >= len(TEXTS) - 1
    assert len(found.texts) + len(found.rejected) >= len(TEXTS)


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_a_cut_archive_gives_what_is_whole_and_counts_one(
    make: Make, read: Read, packed: Packer
) -> None:
    content = packed(archive(SAMPLES).rstrip(b"\0"))
    for size in range(600, len(content), len(content) // 50):
        found = read(make(content[:size], "a.tar"))
        assert found.texts == TEXTS[: len(found.texts)]
        assert found.reasons == ["cut short"]


def test_what_is_beside_the_text_of_a_record_is_neither_a_text_nor_lost(
    make: Make, read: Read
) -> None:
    picture = bytes(range(256))
    files = {
        "1.jpg": picture,
        "1.json": record("of the json"),
        "2.cls": b"17",
        "2.txt": b"of the txt",
        "3.cls": b"17",
        "3.jpg": picture,
    }
    found = read(make(archive(files)))
    assert (found.texts, found.reasons) == (["of the json", "of the txt"], ["no text"])


def test_an_archive_may_be_cut_at_any_byte(make: Make, read: Read) -> None:
    texts = [f"text {number}, " * 60 for number in range(3)]
    content = archive({f"{number}.txt": text.encode() for number, text in enumerate(texts)})
    for size in range(600, len(content), 89):
        found = read(make(content[:size], f"{size}.tar"))
        whole = [text for text in texts if content.find(text.encode()) + len(text) <= size]
        assert found.texts[: len(whole)] == whole
        assert len(whole) == 3 or any(one.broken for one in found.rejected)


@pytest.mark.parametrize("blocks", [1, 2, 8])
@pytest.mark.parametrize("at", range(0, 24, 2))
def test_a_block_of_zeros_over_entries_is_counted(
    make: Make, read: Read, at: int, blocks: int
) -> None:
    texts = [f"text {number}" for number in range(20)]
    files = {f"{number}.txt": text.encode() for number, text in enumerate(texts)}
    content = archive(files, tarfile.USTAR_FORMAT)
    zeros, start = bytes(512 * blocks), 512 * at
    found = read(make(content[:start] + zeros + content[start + len(zeros) :], "a.tar"))
    lost = max(blocks // 2, 1)
    assert found.texts == texts[: at // 2] + texts[at // 2 + lost :]
    may_be_two = (at + blocks) % 20 == 0  # archives of so many blocks, one behind the other
    assert [one.broken for one in found.rejected] == ([] if may_be_two else [True])


def test_bytes_that_are_missing_cost_one_entry_whatever_stands_around(
    make: Make, read: Read
) -> None:
    texts = [f"d {number}" for number in range(9)]
    content = archive({f"{text}.txt": text.encode() for text in texts}, tarfile.USTAR_FORMAT)
    for place in range(3 * 1024, 4 * 1024, 7):
        for size in (1, 2, 40):
            found = read(make(content[:place] + content[place + size :], f"{place}-{size}.tar"))
            assert len([text for text in found.texts if text in texts]) >= len(texts) - 1


def test_a_text_that_is_none_is_counted(make: Make, read: Read) -> None:
    files = {"1.txt": bytes(range(256)), "2.txt": b"text", "2.jpg": bytes(range(256))}
    found = read(make(archive(files)))
    assert (found.texts, found.reasons) == (["text"], ["no text"])
