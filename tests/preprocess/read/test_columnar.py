from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from datasets import Dataset
from helpers.reading import Make, Read

from dslm.errors import DataError
from dslm.preprocess.read.inputs import describe, expand

TEXTS = ["one", "zwei ä", "三"]


def write(path: Path, table: pa.Table, chunk: int = 2) -> Path:
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
def test_a_column_holds_the_texts(tmp_path: Path, read: Read, form: str) -> None:
    path = write(tmp_path / form, pa.table({"id": range(3), "text": TEXTS}))
    found = read(path)
    assert found.texts == TEXTS
    assert [document.offset for document in found.documents] == [0, 1, 2]
    with pytest.raises(DataError, match="has no column 'texts'; did you mean 'text'"):
        read(path, text_key="texts")
    with pytest.raises(
        DataError, match=r"column 'id' holds int64, not text; columns of text: text"
    ):
        read(path, text_key="id")


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_kind_of_text_column_is_read(tmp_path: Path, read: Read, kind: pa.DataType) -> None:
    column = (
        pa.array(TEXTS).cast(kind)
        if "dictionary" not in str(kind)
        else pa.array(TEXTS).dictionary_encode()
    )
    assert read(write(tmp_path / "stream", pa.table({"text": column}))).texts == TEXTS


@pytest.mark.parametrize("form", ["file", "stream"])
def test_arrow_is_read_through_gzip(tmp_path: Path, make: Make, read: Read, form: str) -> None:
    path = write(tmp_path / form, pa.table({"text": TEXTS}))
    assert read(make(gzip.compress(path.read_bytes()))).texts == TEXTS


@pytest.mark.parametrize("form", ["parquet", "stream"])
def test_a_broken_row_is_reported_and_reading_goes_on(
    tmp_path: Path, read: Read, form: str
) -> None:
    raw = pa.array([b"a", None, b"\xff", b"nul \0", b" ", b"x" * 100, b"c"], pa.binary())
    column = raw.view(pa.string())
    found = read(write(tmp_path / form, pa.table({"text": column})), longest=20)
    assert found.texts == ["a", "c"]
    assert found.reasons == ["not text", "not UTF-8", "NUL bytes", "empty", "too long"]
    assert found.details[0] == "row 1: found null"


@pytest.mark.parametrize("form", ["file", "stream"])
def test_what_comes_before_the_cut_of_an_arrow_file_is_kept(
    tmp_path: Path, read: Read, form: str
) -> None:
    table = pa.table({"text": [f"text {number}" for number in range(100)]})
    path = write(tmp_path / form, table, 10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = read(path)
    assert 0 < len(found.texts) < 100
    assert found.texts == table["text"].to_pylist()[: len(found.texts)]
    assert found.reasons == ["cut short"]


def test_parquet_without_its_end_is_broken(tmp_path: Path, read: Read) -> None:
    path = write(tmp_path / "parquet", pa.table({"text": TEXTS}))
    path.write_bytes(path.read_bytes()[:-20])
    found = read(path)
    assert (found.texts, found.reasons) == ([], ["cut short"])


def damaged(path: Path) -> Path:
    """One offset of a column of text points far behind its end."""
    table = pa.table({"text": [f"text {number}" for number in range(50)]})
    content = write(path, table, 50).read_bytes()
    offsets = table["text"].chunk(0).buffers()[1].to_pybytes()
    offset = content.index(offsets) + 4 * 20
    path.write_bytes(content[:offset] + (1 << 30).to_bytes(4, "little") + content[offset + 4 :])
    return path


@pytest.mark.parametrize("form", ["file", "stream"])
def test_a_wrong_offset_is_reported_and_does_not_end_the_process(tmp_path: Path, form: str) -> None:
    path = damaged(tmp_path / form)
    program = f"""
from pathlib import Path
from dslm.preprocess.read.documents import documents
from dslm.preprocess.read.source import Piece
from dslm.preprocess.read.reading import ReadingConfig
rejected, piece = [], Piece(0, Path({str(path)!r}))
texts = [one.text for one in documents(piece, ReadingConfig(), rejected.append)]
print(len(texts), [one.reason for one in rejected])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "48 ['not a row', 'not a row']\n")


def test_a_wrong_index_of_a_dictionary_is_reported(tmp_path: Path, read: Read) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 9]), ["a", "b"], safe=False)
    found = read(write(tmp_path / "stream", pa.table({"text": column})))
    assert (found.texts, found.reasons) == (["a", "b"], ["not a row"])


def test_a_file_that_a_saved_data_set_names_must_lie_in_it(tmp_path: Path, read: Read) -> None:
    path = write(tmp_path / "dataset", pa.table({"text": TEXTS}))
    state = path / "state.json"
    whole = json.loads(state.read_text())
    (tmp_path / "secret.arrow").write_bytes(
        (path / whole["_data_files"][0]["filename"]).read_bytes()
    )
    for name in ("../secret.arrow", str(tmp_path / "secret.arrow")):
        state.write_text(json.dumps(whole | {"_data_files": [{"filename": name}]}))
        with pytest.raises(
            DataError, match=r"state\.json = '.*secret.arrow': is no file beside it"
        ):
            read(path)


def test_a_saved_data_set_that_lacks_a_file_is_refused_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "dataset", pa.table({"text": TEXTS}))
    (lacking,) = path.glob("*.arrow")
    lacking.unlink()
    for look in (lambda: expand([str(path)]), lambda: describe(path, tmp_path)):
        with pytest.raises(DataError, match=rf"{lacking.name}: is missing from the data set"):
            look()


def test_a_message_lists_few_columns_and_the_beginnings_of_their_names(
    tmp_path: Path, read: Read
) -> None:
    names = [f"{number:02} {'n' * 500}" for number in range(200)]
    table = pa.table(dict.fromkeys(names, TEXTS))
    with pytest.raises(DataError, match=r"it has 00 nnn.* and 190 more") as caught:
        read(write(tmp_path / "parquet", table))
    assert len(str(caught.value)) < 700


def test_a_damaged_name_of_a_column_is_reported(tmp_path: Path, read: Read) -> None:
    path = write(tmp_path / "stream", pa.table({"text": TEXTS, "other": TEXTS}))
    path.write_bytes(path.read_bytes().replace(b"other", b"othe\xca"))
    found = read(path)
    assert (found.texts, found.reasons) == ([], ["cut short"])
