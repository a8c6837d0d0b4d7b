"""The format of a file, found from its first bytes and its name; and how a format is added."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from backports import zstd
from helpers.reading import Make, Read

from dslm.errors import DataError
from dslm.preprocess.document import Document
from dslm.preprocess.read import registry
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.kinds import kind
from dslm.preprocess.read.source import Source

PACKERS = {"gzip": gzip.compress, "zstd": zstd.compress, "bz2": bz2.compress, "xz": lzma.compress}


def looked_at(path: Path) -> tuple[str, str]:
    """The packing of a file and the name of its format."""
    found = kind(path)
    return found.compression, found.format.name


@pytest.mark.parametrize(
    ("content", "name", "form"),
    [
        (b"", "a", "text"),
        (b"words", "a.json", "JSON lines"),
        (b"words, words", "a.txt", "text"),
        (b"text,id\n", "a.csv", "CSV"),
        (b"text\tid\n", "a.TSV", "TSV"),
        (b"text,id\n", "unpacked.csv.gz", "CSV"),
        (b"<html>403 Forbidden</html>", "a.jsonl.gz", "JSON lines"),
        (b"<html>403 Forbidden</html>", "a.parquet", "Parquet"),
        (b'\x1e{["text": "a"}\n\x1e{"text": "b"}\n', "a.json-seq", "JSON lines"),
        (bytes(4096) + b'{"text": "a"}\n{"text": "b"}\n', "a.jsonl", "JSON lines"),
        (b'{"text": "a"}\n{"text": "b"}\n', "a", "JSON lines"),
        (b'\xef\xbb\xbf\n {"text": "a"}', "a.txt", "JSON lines"),
        (b'{"text": "cut sho\n{"text": "b"}\n', "a", "JSON lines"),
        (b'{\n  "text": "a"\n}', "a", "JSON"),
        (b'{"data": [{"text": "a li\nne"}, {"text": "b"}]}', "a.json", "JSON"),
        (b'{"data": [\n{"text": "a"},', "a", "JSON"),
        (b'[{"text": "a"}]', "a", "JSON"),
        (b' [\n  "a"]', "a", "JSON"),
        (b"[Illustration]\n", "a", "text"),
        (b"{{Infobox}}", "a", "text"),
        ("grün".encode("latin-1"), "a", "text"),
        ("words".encode("utf-16"), "a", "text"),
        ('{"text": "a"}\n'.encode("utf-32"), "a", "JSON lines"),
        (b'{"text": "one \0 in a line of some length"}', "a", "JSON lines"),
    ],
)
def test_the_first_bytes_decide_the_format(
    make: Make, content: bytes, name: str, form: str
) -> None:
    assert looked_at(make(content, name)) == ("", form)


@pytest.mark.parametrize("packing", PACKERS)
def test_the_format_is_recognised_through_any_packing(make: Make, packing: str) -> None:
    packed = PACKERS[packing]
    assert looked_at(make(packed(b'{"text": "a"}\n'), "a.txt")) == (packing, "JSON lines")
    assert looked_at(make(packed(b"text,id\n"), "a.csv.gz")) == (packing, "CSV")
    assert looked_at(make(packed(b""))) == (packing, "text")
    assert looked_at(make(packed(b"words" * 999)[:12])) == (packing, "text")


def test_tables_are_recognised_by_their_magic(tmp_path: Path) -> None:
    table = pa.table({"text": ["a"]})
    pyarrow.parquet.write_table(table, tmp_path / "parquet")
    with pa.ipc.new_file(tmp_path / "arrow file", table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(tmp_path / "arrow stream", table.schema) as writer:
        writer.write_table(table)
    names = [kind(path).format.name for path in sorted(tmp_path.iterdir())]
    assert names == ["Arrow file", "Arrow stream", "Parquet"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        b"%PDF-1.4\n" + bytes(range(256)),
        gzip.compress(gzip.compress(bytes(range(256)))),
        bytes(100),
    ],
)
def test_what_is_no_text_is_refused(make: Make, content: bytes) -> None:
    with pytest.raises(DataError, match="is not text"):
        kind(make(content))


def test_an_archive_is_refused_with_the_fix(make: Make) -> None:
    with pytest.raises(DataError, match="is not text; unpack it"):
        kind(make(b"PK\x03\x04" + bytes(range(256))))


def test_a_pointer_of_git_lfs_is_refused_with_the_fix(make: Make) -> None:
    with pytest.raises(DataError, match="pointer of Git LFS; fetch the file: git lfs pull"):
        kind(
            make(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n", "a.txt")
        )


def test_utf_16_without_its_mark_is_refused_with_the_cause(make: Make) -> None:
    with pytest.raises(
        DataError, match="needs a byte order mark: convert it with iconv -f UTF-16LE -t UTF-8"
    ):
        kind(make("words of text".encode("utf-16-le")))


def test_parquet_within_gzip_is_refused_with_the_fix(make: Make) -> None:
    with pytest.raises(DataError, match=r"is Parquet inside gzip.*unpack it"):
        kind(make(gzip.compress(b"PAR1....")))


def subtitles(source: Source) -> Iterator[Document]:
    """A document of each line that is no number and no time."""
    with source.opened() as file:
        for line in file:
            if not line[:1].isdigit() and (document := source.document(line.decode().strip())):
                yield document
            source.offset += len(line)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (Format("subtitles", subtitles, suffixes=(".srt",)), "film.srt"),
        (Format("subtitles", subtitles, magic=b"1\n00:"), "film"),
    ],
    ids=["by name", "by magic"],
)
@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_a_format_is_added_by_one_entry(
    make: Make, read: Read, monkeypatch: pytest.MonkeyPatch, form: Format, name: str, packing: str
) -> None:
    content = b"1\n00:00:01,000 --> 00:00:02,000\nGood morning.\n2\n00:01\n{Wait!}\n"
    path = make(PACKERS[packing](content) if packing != "plain" else content, name)
    assert len(read(path).texts) == 1, "without the entry it is plain text, one document"
    monkeypatch.setattr(registry, "FORMATS", (*registry.FORMATS, form))
    other = make(path.read_bytes(), f"other-{name}")
    assert read(other).texts == ["Good morning.", "{Wait!}"]
