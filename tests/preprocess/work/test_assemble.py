from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dslm.errors import DataError
from dslm.files.fingerprint import Input
from dslm.files.whole import beside
from dslm.preprocess.work.assemble import Assembly, assemble, gather_rejects
from dslm.preprocess.work.folder import SetRecord, UnitRecord, WorkFolder
from dslm.preprocess.work.plan import ONLY
from dslm.shards.manifest import Manifest, Shard
from dslm.shards.statistics import Statistics
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer


def written(work: WorkFolder, unit: int, shards: int) -> UnitRecord:
    """A finished unit with that many shards of nothing."""
    made = []
    for number in range(shards):
        name = f"shard-{unit:05d}-{number:05d}.arrow"
        work.file(name).write_text(name)
        made.append(Shard(name, len(name), "0" * 64, 0, 0, ()))
    inputs = (Input(f"{unit}.txt", 1, "0" * 64),)
    return UnitRecord(inputs=inputs, sets={ONLY: SetRecord(shards=tuple(made))})


@pytest.fixture
def tokenizer(make_shards: Callable[[str], Path]) -> Tokenizer:
    return load_tokenizer(make_shards("abc") / "tokenizer")


def test_shards_are_numbered_over_all_units_in_their_order(
    work: WorkFolder, tokenizer: Tokenizer
) -> None:
    records = [written(work, 0, 2), written(work, 1, 0), written(work, 2, 1)]
    made = assemble(Assembly(work, records, tokenizer, {"a": 1}), [ONLY])
    names = [f"shard-0000{number}.arrow" for number in range(3)]
    assert sorted(path.name for path in made.glob("*.arrow")) == names
    assert (made / names[2]).read_text() == "shard-00002-00000.arrow"
    manifest = json.loads((made / "manifest.json").read_text())
    assert [shard["file"] for shard in manifest["shards"]] == names
    assert [one["name"] for one in manifest["inputs"]] == ["0.txt", "1.txt", "2.txt"]
    assert manifest["settings"] == {"a": 1}
    assert manifest["tokenizer_sha256"] == tokenizer.sha256
    assert load_tokenizer(made / "tokenizer").sha256 == tokenizer.sha256


def test_what_a_killed_process_left_is_not_in_the_set(
    work: WorkFolder, tokenizer: Tokenizer
) -> None:
    made = beside(work.path / "set")
    made.mkdir()
    (made / "shard-00009.arrow").touch()
    assert assemble(Assembly(work, [written(work, 0, 1)], tokenizer, {}), [ONLY]) == made
    assert [path.name for path in made.glob("*.arrow")] == ["shard-00000.arrow"]


def test_without_hard_links_shards_are_copied(
    work: WorkFolder, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("dslm.preprocess.work.assemble.os.link", refuse)
    made = assemble(Assembly(work, [written(work, 0, 1)], tokenizer, {}), [ONLY])
    assert (made / "shard-00000.arrow").read_text() == "shard-00000-00000.arrow"


def test_counts_of_all_stages_are_added_up(work: WorkFolder, tokenizer: Tokenizer) -> None:
    cleaned = [
        UnitRecord(statistics=Statistics(left_out={"empty": 2}, examples=["a"])) for _ in range(2)
    ]
    kept = UnitRecord(statistics=Statistics(left_out={"duplicate": 1}))
    made = assemble(Assembly(work, [*cleaned, kept], tokenizer, {}), [ONLY])
    statistics = Manifest.load(made).statistics
    assert statistics.left_out == {"duplicate": 1, "empty": 4}
    assert statistics.examples == ["a", "a"]


def test_rejects_of_all_units_are_one_file_that_gzip_reads(work: WorkFolder) -> None:
    records = []
    for kind, unit in (("left-out", 0), ("left-out", 1), ("rejected", 0)):
        name = f"{kind}-{unit:05d}"
        work.file(name).write_bytes(gzip.compress(f"{name}\n".encode(), mtime=0))
        records.append(UnitRecord(work.hashed(name)))
    work.file("texts-00000").touch()
    records.append(UnitRecord(work.hashed("texts-00000")))
    target = work.path / "new" / "rejects.jsonl.gz"
    gather_rejects(work, records, target)
    reported = gzip.decompress(target.read_bytes()).decode().split()
    assert reported == ["left-out-00000", "left-out-00001", "rejected-00000"]


@pytest.fixture
def rejected(work: WorkFolder) -> list[UnitRecord]:
    work.file("rejected-00000").write_bytes(gzip.compress(b"one\n", mtime=0))
    return [UnitRecord(work.hashed("rejected-00000"))]


def test_rejects_never_replace_another_file(work: WorkFolder, rejected: list[UnitRecord]) -> None:
    target = work.path / "precious"
    target.write_text("an input")
    with pytest.raises(DataError, match=r"precious'?: there is such a file already"):
        gather_rejects(work, rejected, target)
    assert target.read_text() == "an input"
    assert not list(work.path.glob(".precious*"))


def test_the_same_rejects_may_be_gathered_again(
    work: WorkFolder, rejected: list[UnitRecord]
) -> None:
    target = work.path / "rejects"
    for _ in range(2):
        gather_rejects(work, rejected, target)
    assert gzip.decompress(target.read_bytes()) == b"one\n"


def test_rejects_that_cannot_all_be_written_are_not_there(
    work: WorkFolder, rejected: list[UnitRecord]
) -> None:
    with pytest.raises(FileNotFoundError):
        gather_rejects(
            work, [*rejected, UnitRecord({"rejected-00001": "0" * 64})], work.path / "rejects"
        )
    assert not list(work.path.glob("*rejects*"))
