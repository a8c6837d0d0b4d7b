from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet
import pytest
from datasets import Dataset

from dslm.errors import DataError

TEXTS = ["one", "zwei ä", "三"]


def write(path, table, chunk=2):
    if path.name == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=chunk)
    elif path.name == "dataset":
        Dataset(table).save_to_disk(path)
    else:
        new = pa.ipc.new_file if path.name == "file" else pa.ipc.new_stream
        with new(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=chunk)
    return path


@pytest.mark.parametrize("form", ["parquet", "file", "stream", "dataset"])
def test_a_column_holds_the_texts(tmp_path, read, form):
    path = write(tmp_path / form, pa.table({"id": range(3), "text": TEXTS}))
    found = read(path)
    assert found.texts == TEXTS
    assert [document.place for document in found.documents] == [0, 1, 2]
    with pytest.raises(DataError, match="has no column 'texts'; did you mean 'text'"):
        read(path, text_key="texts")
    with pytest.raises(
        DataError, match=r"column 'id' holds int64, not text; columns of text: text"
    ):
        read(path, text_key="id")


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_kind_of_text_column_is_read(tmp_path, read, kind):
    column = (
        pa.array(TEXTS).cast(kind)
        if "dictionary" not in str(kind)
        else pa.array(TEXTS).dictionary_encode()
    )
    assert read(write(tmp_path / "stream", pa.table({"text": column}))).texts == TEXTS


@pytest.mark.parametrize("form", ["file", "stream"])
def test_arrow_is_read_through_gzip(tmp_path, make, read, form):
    path = write(tmp_path / form, pa.table({"text": TEXTS}))
    assert read(make(gzip.compress(path.read_bytes()))).texts == TEXTS


@pytest.mark.parametrize("form", ["parquet", "stream"])
def test_a_broken_row_is_told_and_reading_goes_on(tmp_path, read, form):
    raw = pa.array([b"a", None, b"\xff", b"nul \0", b" ", b"x" * 100, b"c"], pa.binary())
    column = raw.view(pa.string())
    found = read(write(tmp_path / form, pa.table({"text": column})), longest=20)
    assert found.texts == ["a", "c"]
    assert found.reasons == ["not text", "not UTF-8", "NUL bytes", "empty", "too long"]
    assert found.details[0] == "row 1: found null"


@pytest.mark.parametrize("form", ["file", "stream"])
def test_what_stands_before_the_cut_of_an_arrow_file_is_kept(tmp_path, read, form):
    table = pa.table({"text": [f"text {number}" for number in range(100)]})
    path = write(tmp_path / form, table, 10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = read(path)
    assert 0 < len(found.texts) < 100
    assert found.texts == table["text"].to_pylist()[: len(found.texts)]
    assert found.reasons == ["cut short"]


def test_parquet_without_its_end_is_broken(tmp_path, read):
    path = write(tmp_path / "parquet", pa.table({"text": TEXTS}))
    path.write_bytes(path.read_bytes()[:-20])
    found = read(path)
    assert (found.texts, found.reasons) == ([], ["cut short"])
