from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pyarrow
import pytest
from helpers.shard_sets import MakeSet

from dslm.commands.shards_option import open_shards
from dslm.errors import DataError
from dslm.shards.manifest import FILE, Manifest
from dslm.shards.shard_set import ShardSet


@pytest.mark.parametrize("length", [1, 7, 50, 120, 333])
def test_windows_are_the_same_across_batches_and_shards(counted_set: MakeSet, length: int) -> None:
    shards = counted_set(*[11] * 30, 3)
    starts = np.arange(shards.tokens - length + 1)
    expected = starts[:, None] + np.arange(length)
    assert len(shards.manifest.shards[0].batches) > 2
    assert np.array_equal(shards.windows(starts, length), expected)


def test_windows_come_in_the_order_they_were_asked_for(counted_set: MakeSet) -> None:
    shards = counted_set(40, 40, 40)
    starts = np.array([90, 0, 30, 90])
    assert shards.windows(starts, 3)[:, 0].tolist() == [90, 0, 30, 90]


def test_no_windows_are_an_empty_array(counted_set: MakeSet) -> None:
    assert counted_set(40).windows(np.array([], dtype=np.int64), 8).shape == (0, 8)


@pytest.mark.parametrize("start", [-1, 38])
def test_a_window_beyond_the_tokens_is_refused(counted_set: MakeSet, start: int) -> None:
    with pytest.raises(IndexError, match="40 tokens"):
        counted_set(20, 20).windows(np.array([start]), 3)


def test_every_reader_sees_the_same_tokens(text_shards: ShardSet) -> None:
    files = [text_shards.folder / shard.file for shard in text_shards.manifest.shards]
    ours = text_shards.windows(np.array([0]), text_shards.tokens)[0]
    streams = [pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))).read_all() for file in files]
    rows = pyarrow.concat_tables(streams)["tokens"].to_pylist()
    assert np.array_equal(np.concatenate(rows), ours)
    assert len(rows) == text_shards.documents
    assert datasets.load_from_disk(str(text_shards.folder))["tokens"][:] == rows
    loaded = datasets.load_dataset(
        "arrow",
        data_files=[str(file) for file in files],
        split="train",
        cache_dir=str(text_shards.folder.parent / "cache"),
    )
    assert loaded["tokens"][:] == rows
    mapped = [
        np.memmap(
            file, text_shards.manifest.dtype, "r", offset=batch.tokens_at, shape=(batch.tokens,)
        )
        for file, shard in zip(files, text_shards.manifest.shards, strict=True)
        for batch in shard.batches
    ]
    assert np.array_equal(np.concatenate(mapped), ours)


def test_a_whole_set_verifies_and_reports_its_progress(text_shards: ShardSet) -> None:
    reported: list[int] = []
    assert text_shards.verify(reported.append) == []
    assert sum(reported) == sum(shard.bytes for shard in text_shards.manifest.shards)


def test_missing_and_truncated_shards_are_reported_at_once(text_shards: ShardSet) -> None:
    first, second = text_shards.manifest.shards[:2]
    (text_shards.folder / first.file).unlink()
    with (text_shards.folder / second.file).open("r+b") as file:
        file.truncate(second.bytes - 1)
    with pytest.raises(DataError) as caught:
        ShardSet.open(text_shards.folder)
    assert [problem.where.rsplit("/", 1)[1] for problem in caught.value.problems] == [
        first.file,
        second.file,
    ]


def test_a_shard_cut_between_two_batches_is_noticed(counted_set: MakeSet) -> None:
    shards = counted_set(*[30] * 10)
    file = shards.manifest.shards[0].file
    path = shards.folder / file
    rows = pyarrow.ipc.open_stream(path.read_bytes()).read_all()
    with pyarrow.ipc.new_stream(str(path), rows.schema) as stream:
        stream.write_batch(rows.to_batches()[0])  # whole to every Arrow reader, yet too short
    with pytest.raises(DataError, match=file):
        ShardSet.open(shards.folder)


def test_a_flipped_bit_is_found_and_the_shard_named(text_shards: ShardSet) -> None:
    broken = text_shards.manifest.shards[1]
    path = text_shards.folder / broken.file
    content = bytearray(path.read_bytes())
    content[broken.batches[0].tokens_at + 5] ^= 1
    path.write_bytes(content)
    (problem,) = ShardSet.open(text_shards.folder).verify()
    assert problem.where == str(path)
    assert "changed" in problem.rule


@pytest.mark.parametrize(
    ("names", "fix"), [(["a"], "give {0}/a"), (["b", "a"], "give one of {0}/a, {0}/b")]
)
def test_a_folder_of_shard_sets_is_told_in_the_same_words_wherever_it_is_given(
    tmp_path: Path, names: list[str], fix: str
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).touch()
    with pytest.raises(DataError) as plain:
        ShardSet.open(tmp_path)
    with pytest.raises(DataError) as named:
        open_shards("--data", tmp_path)
    (one,), (other,) = plain.value.problems, named.value.problems
    assert (one.rule, one.fix) == (other.rule, other.fix)
    assert one.fix == fix.format(tmp_path)
    assert (other.where, other.found) == ("--data", str(tmp_path))


def test_a_folder_without_manifest_is_no_shard_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a shard set"):
        ShardSet.open(tmp_path)
    with pytest.raises(DataError, match="no such shard set"):
        ShardSet.open(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("old", "new", "reported"),
    [
        ('"tokens": ', '"tokns": ', "tokns"),
        ('"format": 2', '"format": 1', "format"),
        ('"dtype": "uint16"', '"dtype": "float"', "dtype"),
        ('"documents": ', '"documents": 1', "documents"),
        ('"vocabulary": 65536', '"vocabulary": 100', "maximum_token"),
        ("{", "[", "is damaged"),
    ],
)
def test_a_manifest_that_was_tampered_with_is_refused(
    counted_set: MakeSet, old: str, new: str, reported: str
) -> None:
    path = counted_set(10, 20).folder / "manifest.json"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=reported):
        Manifest.load(path.parent)


def test_the_fingerprint_distinguishes_tokens(counted_set: MakeSet) -> None:
    sets = [
        counted_set(10, 20, name="a"),
        counted_set(10, 20, name="b"),
        counted_set(20, 10, name="c"),
    ]
    assert sets[0].fingerprint == sets[1].fingerprint != sets[2].fingerprint


def test_spans_of_any_lengths_come_one_after_the_other(counted_set: MakeSet) -> None:
    shards = counted_set(*[11] * 30, 3)
    starts, lengths = np.array([300, 0, 330, 15]), np.array([7, 11, 3, 1])
    expected = [*range(300, 307), *range(11), *range(330, 333), 15]
    assert shards.spans(starts, lengths).tolist() == expected
    assert shards.spans(starts[:0], lengths[:0]).size == 0


def test_lengths_of_documents_are_read_across_batches_and_shards(counted_set: MakeSet) -> None:
    lengths = [20, 1, 70, 5, 5, 31, 90]
    assert counted_set(*lengths).lengths().tolist() == lengths


@pytest.mark.parametrize("length", [1, 40, 1000])
def test_sentence_starts_are_those_of_the_documents(text_shards: ShardSet, length: int) -> None:
    everywhere = np.zeros(text_shards.tokens, dtype=bool)
    for number in range(text_shards.documents):
        everywhere[text_shards.document(number)[0] + text_shards.sentences_of(number)] = True
    starts = np.arange(0, text_shards.tokens - length + 1, 7)
    found = text_shards.sentence_starts(starts, length)
    assert np.array_equal(found, everywhere[starts[:, None] + np.arange(length)])
    assert found.any()
