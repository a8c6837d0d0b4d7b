from __future__ import annotations

import bz2
import gzip
import lzma

import pyarrow as pa
import pyarrow.parquet
import pytest
from backports import zstd

from dslm.errors import DataError
from dslm.files.kinds import FileKind, kind

PACKERS = {"gzip": gzip.compress, "zstd": zstd.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize(
    ("content", "name", "form"),
    [
        (b"", "a", "text"),
        (b"words", "a.json", "json lines"),
        (b"words, words", "a.txt", "text"),
        (b"text,id\n", "a.csv", "csv"),
        (b"text\tid\n", "a.TSV", "tsv"),
        (b'{"text": "a"}\n{"text": "b"}\n', "a", "json lines"),
        (b'\xef\xbb\xbf\n {"text": "a"}', "a.txt", "json lines"),
        (b'{"text": "cut sho\n{"text": "b"}\n', "a", "json lines"),
        (b'{\n  "text": "a"\n}', "a", "json document"),
        (b'{"data": [\n{"text": "a"},', "a", "json document"),
        (b'[{"text": "a"}]', "a", "json document"),
        (b' [\n  "a"]', "a", "json document"),
        (b"[Illustration]\n", "a", "text"),
        (b"{{Infobox}}", "a", "text"),
        ("grün".encode("latin-1"), "a", "text"),
        ("words".encode("utf-16"), "a", "text"),
        ('{"text": "a"}\n'.encode("utf-32"), "a", "json lines"),
        (b'{"text": "one \0 in a line of some length"}', "a", "json lines"),
    ],
)
def test_the_first_bytes_tell_the_format(make, content, name, form):
    assert kind(make(content, name)) == FileKind("", form)


@pytest.mark.parametrize("packing", PACKERS)
def test_the_format_is_told_through_any_packing(make, packing):
    packed = PACKERS[packing]
    assert kind(make(packed(b'{"text": "a"}\n'), "a.txt")) == FileKind(packing, "json lines")
    assert kind(make(packed(b"text,id\n"), "a.csv.gz")) == FileKind(packing, "csv")
    assert kind(make(packed(b""))) == FileKind(packing, "text")
    assert kind(make(packed(b"words" * 999)[:12])) == FileKind(packing, "text")


def test_tables_are_told_by_their_signs(tmp_path):
    table = pa.table({"text": ["a"]})
    pyarrow.parquet.write_table(table, tmp_path / "parquet")
    with pa.ipc.new_file(tmp_path / "arrow file", table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(tmp_path / "arrow stream", table.schema) as writer:
        writer.write_table(table)
    assert [kind(path).format for path in sorted(tmp_path.iterdir())] == [
        "arrow file",
        "arrow stream",
        "parquet",
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        b"%PDF-1.4\n" + bytes(range(256)),
        gzip.compress(gzip.compress(bytes(range(256)))),
        bytes(100),
    ],
)
def test_what_is_no_text_is_refused(make, content):
    with pytest.raises(DataError, match="is not text"):
        kind(make(content))


def test_an_archive_is_refused_with_the_fix(make):
    with pytest.raises(DataError, match="is not text; unpack it"):
        kind(make(b"PK\x03\x04" + bytes(range(256))))


def test_utf_16_without_its_mark_is_refused_with_the_cause(make):
    with pytest.raises(DataError, match="needs a byte order mark"):
        kind(make("words of text".encode("utf-16-le")))


def test_parquet_within_gzip_is_refused_with_the_fix(make):
    with pytest.raises(DataError, match=r"is Parquet inside gzip.*unpack it"):
        kind(make(gzip.compress(b"PAR1....")))
