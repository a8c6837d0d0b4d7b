"""``run.json``, and what is put back when parts of a run's folder are removed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dslm.environment import World
from dslm.errors import CheckpointError
from dslm.run.folder import RunFolder
from dslm.run.heartbeats import Heartbeat
from dslm.run.process import Process
from dslm.run.standing import is_free
from dslm.train.prepare import prepare
from dslm.train.record import RunRecord

PARTS = ("run.json", "tokenizer", ".lock", "checkpoints")
LOST = [some for count in range(1, 5) for some in combinations(PARTS, count)]


@pytest.fixture
def record(
    shard_set: Path, deepspeed_settings: dict[str, Any], tmp_path: Path
) -> Iterator[RunRecord]:
    """The record of a run that trains."""
    file = tmp_path / "deepspeed.json"
    file.write_text(json.dumps(deepspeed_settings))
    words = ["tiny", f"data.train={shard_set}", f"run={tmp_path / 'run'}"]
    record = RunRecord(prepare(words, None, str(file), World()), World(), words)
    folder = record.job.folder
    folder.lock.take()
    record.write("running")
    folder.add_tokenizer(record.job.sources.train[0].tokenizer)
    yield record
    folder.lock.release()


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def whole(record: RunRecord) -> bool:
    folder: RunFolder = record.job.folder
    source = record.job.sources.train[0].tokenizer
    same = {file.name for file in source.iterdir()} == {f.name for f in folder.tokenizer.iterdir()}
    hidden = [entry.name for entry in folder.path.iterdir() if entry.name.startswith(".")]
    read = json.loads(folder.record.read_text())
    known = json.loads(json.dumps(record.content()))
    return same and hidden == [".lock"] and not is_free(folder.lock.path) and read == known


@pytest.mark.parametrize("lost", LOST, ids="+".join)
def test_what_is_removed_while_a_run_trains_is_put_back(
    lost: tuple[str, ...], record: RunRecord
) -> None:
    for part in lost:
        remove(record.job.folder.path / part)
    record.put_back()
    assert whole(record)


def test_the_whole_folder_is_put_back_with_the_next_heartbeat(record: RunRecord) -> None:
    remove(record.job.folder.path)
    record.alive(Heartbeat(0, Process.this(), "training", 7))
    assert whole(record)
    assert record.job.folder.read()["heartbeat"]["step"] == 7


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_record_that_was_cut_is_written_again(share: float, record: RunRecord) -> None:
    file = record.job.folder.record
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    record.put_back()
    assert whole(record)


def test_a_folder_that_another_run_has_taken_is_left_alone(record: RunRecord) -> None:
    remove(record.job.folder.path)
    other = RunFolder(record.job.folder.path)
    other.lock.take()
    record.alive(Heartbeat(0, Process.this(), "training", 7))
    with pytest.raises(CheckpointError, match="another run is writing"):
        record.put_back()
    with pytest.raises(CheckpointError, match="another run is writing"):
        record.write("done", "all steps made")
    assert [entry.name for entry in other.path.iterdir()] == [".lock"]
    other.lock.release()


def test_checkpoints_that_could_not_be_written_are_kept(record: RunRecord) -> None:
    assert "failed_saves" not in record.job.folder.read()
    record.save_failed(4, "No space left on device")
    record.save_failed(6, "Read-only file system")
    failed = record.job.folder.read()["failed_saves"]
    assert [(one["step"], one["reason"]) for one in failed] == [
        (4, "No space left on device"),
        (6, "Read-only file system"),
    ]


def test_the_record_says_when_the_run_began_and_ended(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = json.loads(record.job.folder.record.read_text())
    assert began["stopped"] is None
    monkeypatch.setattr("dslm.train.record._now", lambda: "2099-01-01T00:00:00+00:00")
    later = RunRecord(record.job, record.world, record.words)
    later.write("done", "all steps made")
    ended = json.loads(record.job.folder.record.read_text())
    assert ended["started"] == began["started"]
    assert ended["stopped"] == "2099-01-01T00:00:00+00:00"
    assert ended["machine"]["hosts"] == [Process.this().host]
