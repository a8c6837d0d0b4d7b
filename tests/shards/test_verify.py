from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow

from dslm.files.fingerprint import file_sha256
from dslm.shards.manifest import Manifest
from dslm.shards.shard_set import ShardSet
from dslm.shards.verify import verify


def write_again(shards: ShardSet, column: str, values: pyarrow.Array) -> Path:
    """Put other values into the first shard and let the manifest hold the new hash."""
    shard = shards.manifest.shards[0]
    path = shards.folder / shard.file
    (batch,) = pyarrow.ipc.open_stream(path.read_bytes())
    changed = batch.set_column(
        batch.schema.get_field_index(column), batch.schema.field(column), values
    )
    with pyarrow.ipc.new_stream(str(path), batch.schema) as stream:
        stream.write_batch(changed)
    facts = json.loads((shards.folder / "manifest.json").read_text())
    facts["shards"][0] |= {"sha256": file_sha256(path), "bytes": path.stat().st_size}
    (shards.folder / "manifest.json").write_text(json.dumps(facts))
    return path


def first_batch(shards: ShardSet) -> pyarrow.RecordBatch:
    path = shards.folder / shards.manifest.shards[0].file
    (batch,) = pyarrow.ipc.open_stream(path.read_bytes())
    return batch


def lists(column: pyarrow.Array, values: np.ndarray) -> pyarrow.Array:
    return pyarrow.LargeListArray.from_arrays(column.offsets, pyarrow.array(values))


def found(folder: Path) -> dict[str, str]:
    """Each problem by the name of its file."""
    problems = verify(ShardSet(folder, Manifest.load(folder)))
    return {Path(problem.where).name: problem.rule for problem in problems}


def test_a_whole_set_has_no_problem_and_progress_is_reported(text_shards: ShardSet) -> None:
    reported: list[int] = []
    assert verify(text_shards, reported.append) == []
    assert sum(reported) == 2 * sum(shard.bytes for shard in text_shards.manifest.shards)


def test_each_broken_shard_is_named_and_no_other(text_shards: ShardSet) -> None:
    folder, shards = text_shards.folder, text_shards.manifest.shards
    (folder / shards[0].file).unlink()
    with (folder / shards[1].file).open("r+b") as file:
        file.truncate(100)
    content = bytearray((folder / shards[2].file).read_bytes())
    content[shards[2].batches[0].tokens_at] ^= 1
    (folder / shards[2].file).write_bytes(content)
    assert found(folder) == {
        shards[0].file: "no such file",
        shards[1].file: f"100 bytes where manifest.json says {shards[1].bytes}",
        shards[2].file: "its bytes have changed since manifest.json was written",
    }


def test_a_token_that_no_tokenizer_gave_is_found(text_shards: ShardSet) -> None:
    column = first_batch(text_shards).column("tokens")
    values = np.asarray(column.values).copy()
    values[3] = text_shards.maximum_token + 1
    path = write_again(text_shards, "tokens", lists(column, values))
    rule = f"token id {text_shards.maximum_token + 1} is above statistics.maximum_token"
    assert found(text_shards.folder) == {path.name: rule}


def test_an_input_that_the_manifest_does_not_list_is_found(text_shards: ShardSet) -> None:
    rows = first_batch(text_shards).num_rows
    path = write_again(text_shards, "input", pyarrow.array([99] * rows, pyarrow.uint32()))
    rule = "names an input that manifest.json does not list"
    assert found(text_shards.folder) == {path.name: rule}


def test_a_sentence_that_begins_behind_its_document_is_found(text_shards: ShardSet) -> None:
    column = first_batch(text_shards).column("sentences")
    values = np.asarray(column.values).copy()
    values[-1] = 100_000
    path = write_again(text_shards, "sentences", lists(column, values))
    rule = "a sentence begins after the end of its document"
    assert found(text_shards.folder) == {path.name: rule}


def test_batches_that_are_not_those_of_the_manifest_are_found(text_shards: ShardSet) -> None:
    path = text_shards.folder / "manifest.json"
    facts = json.loads(path.read_text())
    facts["shards"][1]["batches"][0]["ends_at"] += 8
    path.write_text(json.dumps(facts))
    rule = "its record batches are not those of manifest.json"
    assert found(text_shards.folder) == {facts["shards"][1]["file"]: rule}


def test_a_file_that_is_no_arrow_stream_is_found(text_shards: ShardSet) -> None:
    shard = text_shards.manifest.shards[0]
    path = text_shards.folder / shard.file
    path.write_bytes(b"x" * shard.bytes)
    manifest = text_shards.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(shard.sha256, file_sha256(path)))
    assert found(text_shards.folder)[shard.file].startswith("is no Arrow stream of a shard set")


def test_a_tokenizer_that_is_damaged_or_gone_is_found(text_shards: ShardSet) -> None:
    path = text_shards.tokenizer / "tokenizer.model"
    path.write_bytes(path.read_bytes()[:-1])
    assert list(found(text_shards.folder)) == ["tokenizer.model"]
    path.unlink()
    assert found(text_shards.folder) == {"tokenizer.model": "no such file"}


def test_a_tokenizer_that_made_another_set_is_found(
    text_shards: ShardSet, characters: Path
) -> None:
    for path in text_shards.tokenizer.iterdir():
        path.unlink()
    (text_shards.tokenizer / "card.json").write_bytes((characters / "card.json").read_bytes())
    rule = "is not the tokenizer that manifest.json names"
    assert found(text_shards.folder) == {"tokenizer": rule}
