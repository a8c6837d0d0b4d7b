from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import datasets
import pytest

from dslm.errors import DataError, SetupError
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards import remove as module
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.remove import remove
from dslm.shards.shard_set import ShardSet
from dslm.shards.verify import verify
from dslm.tokenizers.load import load_tokenizer


def texts(folder: Path) -> list[str]:
    shards = ShardSet.open(folder)
    reader, tokenizer = ProvenanceReader(shards), load_tokenizer(shards.tokenizer)
    return [reader.text(number, tokenizer) for number in range(shards.documents)]


def hash_of(shards: ShardSet, number: int) -> str:
    return ProvenanceReader(shards)(number).sha256


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("shard*"))


def test_a_removed_text_is_gone_and_all_others_stay(text_shards: ShardSet) -> None:
    before, folder = texts(text_shards.folder), text_shards.folder
    wanted = {hash_of(text_shards, 5), hash_of(text_shards, 20)}
    reported: list[int] = []
    removed = remove(text_shards, wanted, reported.append)
    assert texts(folder) == [t for n, t in enumerate(before) if n not in (5, 20)]
    assert {one.sha256 for one in removed} == wanted
    assert sum(reported) == sum(part.bytes for part in text_shards.manifest.shards)
    after = ShardSet.open(folder)
    assert verify(after) == []
    assert after.manifest.removed == tuple(removed)
    assert names(folder) == sorted(part.file for part in after.manifest.shards)
    assert datasets.load_from_disk(str(folder)).num_rows == len(before) - 2


def test_counts_are_those_of_a_set_that_never_held_the_text(
    tmp_path: Path, corpus: list[Path], unigram: Path
) -> None:
    lines = corpus[-1].read_text().splitlines()
    sharding, tallies = ShardingConfig(unigram), []
    for name, kept in (("with", lines), ("without", lines[:7] + lines[8:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(kept) + "\n")
        shards, _ = shard([tmp_path / f"{name}.jsonl"], tmp_path / name, sharding)
        if name == "with":
            remove(shards, {hash_of(shards, 7)})
        tallies.append(ShardSet.open(shards.folder).manifest.statistics)
    assert tallies[0].left_out == {"removed": 1}
    tallies[0].left_out = {}
    assert tallies[0] == tallies[1]


def test_a_text_that_is_there_twice_goes_twice(tmp_path: Path, characters: Path) -> None:
    for name, text in (("a", "the river"), ("b", "the stone"), ("c", "the river")):
        (tmp_path / f"{name}.txt").write_text(text)
    paths = sorted(tmp_path.glob("*.txt"))
    shards, _ = shard(paths, tmp_path / "set", ShardingConfig(characters))
    assert len(remove(shards, {hash_of(shards, 0)})) == 2
    assert texts(tmp_path / "set") == ["the stone"]


def test_a_shard_of_which_nothing_is_left_goes(text_shards: ShardSet) -> None:
    first = text_shards.manifest.shards[0]
    wanted = {hash_of(text_shards, number) for number in range(first.documents)}
    remove(text_shards, wanted)
    assert first.file not in names(text_shards.folder)
    after = ShardSet.open(text_shards.folder)
    assert len(after.manifest.shards) == len(text_shards.manifest.shards) - 1
    assert verify(after) == []


def test_a_shard_can_be_removed_from_again_and_again(text_shards: ShardSet) -> None:
    before = texts(text_shards.folder)
    for _ in range(3):
        shards = ShardSet.open(text_shards.folder)
        remove(shards, {hash_of(shards, 10)})
    assert texts(text_shards.folder) == before[:10] + before[13:]
    assert any(name.endswith(".3.arrow") for name in names(text_shards.folder))


def test_an_unknown_hash_is_reported_and_nothing_is_changed(text_shards: ShardSet) -> None:
    before = {path: path.read_bytes() for path in text_shards.folder.glob("[!.]*.*")}
    known = hash_of(text_shards, 0)
    with pytest.raises(DataError, match="no document of the set has this hash; see dslm data show"):
        remove(text_shards, {"0" * 64, known})
    with pytest.raises(DataError, match="--sha256 = 'abc': is not 64 hexadecimal digits"):
        remove(text_shards, {"abc", known})
    after = {path: path.read_bytes() for path in text_shards.folder.glob("[!.]*.*")}
    assert after == before


def test_a_set_is_never_emptied(tmp_path: Path, characters: Path) -> None:
    (tmp_path / "a.txt").write_text("the river")
    shards, _ = shard([tmp_path / "a.txt"], tmp_path / "set", ShardingConfig(characters))
    with pytest.raises(DataError, match="nothing would be left: remove it whole"):
        remove(shards, {hash_of(shards, 0)})
    assert texts(tmp_path / "set") == ["the river"]
    assert names(tmp_path / "set") == ["shard-00000.arrow"]


@pytest.mark.parametrize("step", ["_without", "write_datasets_files", "describe_batches"])
def test_killed_before_the_manifest_changes_the_set_is_as_it_was(
    text_shards: ShardSet, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before, wanted = texts(text_shards.folder), {hash_of(text_shards, 5)}
    die_at(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt):
        remove(text_shards, wanted)
    assert texts(text_shards.folder) == before
    assert verify(ShardSet.open(text_shards.folder)) == []
    monkeypatch.undo()
    remove(ShardSet.open(text_shards.folder), wanted)
    assert texts(text_shards.folder) == before[:5] + before[6:]


def test_killed_before_the_old_shard_goes_the_same_command_removes_it(
    text_shards: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {hash_of(text_shards, 5)}
    save = module.Manifest.save

    def save_and_die(self, folder: Path) -> None:
        save(self, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Manifest, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        remove(text_shards, wanted)
    monkeypatch.undo()
    shards = ShardSet.open(text_shards.folder)
    assert len(names(shards.folder)) == len(shards.manifest.shards) + 1
    assert remove(shards, wanted) == []
    assert names(shards.folder) == sorted(part.file for part in shards.manifest.shards)
    assert len(ShardSet.open(shards.folder).manifest.removed) == 1


def die_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def die(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, step, die)


def test_a_removed_set_is_still_the_set_of_its_command(
    text_shards: ShardSet, corpus: list[Path], unigram: Path
) -> None:
    remove(text_shards, {hash_of(text_shards, 5)})
    again, made = shard(corpus, text_shards.folder, ShardingConfig(unigram, shard_size=1000))
    assert not made
    assert again.documents == text_shards.documents - 1
    manifest = json.loads((text_shards.folder / "manifest.json").read_text())
    assert manifest["statistics"]["left_out"] == {"removed": 1}


def test_two_removals_at_once_take_out_both_texts(text_shards: ShardSet) -> None:
    before, folder = texts(text_shards.folder), text_shards.folder
    one, two = hash_of(text_shards, 5), hash_of(text_shards, 20)
    remove(ShardSet.open(folder), {one})
    remove(text_shards, {two})  # which knows nothing of the other
    assert texts(folder) == [text for n, text in enumerate(before) if n not in (5, 20)]
    assert {removed.sha256 for removed in ShardSet.open(folder).manifest.removed} == {one, two}
    assert verify(ShardSet.open(folder)) == []


def test_a_removal_waits_for_another_one(text_shards: ShardSet) -> None:
    begun = threading.Event()
    go_on = threading.Event()
    ends: list[str] = []

    def slow(_: int) -> None:
        begun.set()
        assert go_on.wait(30)

    def other() -> None:
        remove(text_shards, {hash_of(text_shards, 20)})
        ends.append("other")

    def first() -> None:
        remove(text_shards, {hash_of(text_shards, 5)}, slow)
        ends.append("first")

    threads = [threading.Thread(target=run) for run in (first, other)]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    threads[1].join(0.3)
    assert ends == []
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert sorted(ends) == ["first", "other"]
    assert len(ShardSet.open(text_shards.folder).manifest.removed) == 2


def test_without_locks_nothing_is_removed(
    text_shards: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(module.fcntl, "flock", refuse)
    with pytest.raises(SetupError, match=r"cannot be locked \(Operation not supported\)"):
        remove(text_shards, {hash_of(text_shards, 5)})
    assert ShardSet.open(text_shards.folder).manifest == text_shards.manifest
