"""Work that was begun before, or that others do at the same time."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import dslm
from dslm.environment import Task
from dslm.errors import DataError, SetupError
from dslm.preprocess import shard as sharding_module
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import Execution, shard
from dslm.preprocess.work import unit_writer
from dslm.preprocess.work import versions as versions_module
from dslm.preprocess.work.coordination import WorkPass
from dslm.preprocess.work.folder import FORMAT, UnitRecord, WorkFolder
from dslm.preprocess.work.plan import ShardingConfig
from dslm.progress import Advance
from dslm.shards.rows import Rows
from dslm.shards.shard_set import ShardSet
from dslm.shards.writer import ShardWriter
from dslm.workers import Workers


def test_inputs_without_text_are_reported_whole_and_written_aside(
    tmp_path: Path, unigram: Path
) -> None:
    lines, rejects = tmp_path / "a.jsonl", tmp_path / "rejects.gz"
    lines.write_text('{"text": " "}\n{"txt": "the river"}\n{"text": ""}\n')
    reported = (
        r"^a\.jsonl: no text key \(line 2.*\n--input: holds no text to tokenize; "
        r"all of it was left out: 2 empty; broken: 1 no text key; "
        r"for text under another key add --text-key and its name$"
    )
    for _ in range(2):
        with pytest.raises(DataError, match=reported):
            shard([lines], tmp_path / "set", ShardingConfig(unigram), Execution(rejects=rejects))
    found = [json.loads(line) for line in gzip.decompress(rejects.read_bytes()).splitlines()]
    assert [one["reason"] for one in found] == ["empty", "no text key", "empty"]
    better = ShardingConfig(unigram, reading=ReadingConfig(text_key="txt"))
    assert shard([lines], tmp_path / "set", better)[0].documents == 1
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", "rejects.gz", "set"}


def test_a_file_that_exists_where_rejects_go_is_left_alone(
    tmp_path: Path, corpus: list[Path], unigram: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("the river")
    with pytest.raises(DataError, match=r"--rejects.*there is such a file already"):
        shard(corpus, tmp_path / "set", ShardingConfig(unigram), Execution(rejects=precious))
    assert precious.read_text() == "the river"


def test_after_a_first_mistake_the_corrected_command_goes_on(tmp_path: Path, unigram: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"body": "the river"}\n' * 3)
    with pytest.raises(DataError, match="records are broken"):
        shard([lines], tmp_path / "set", ShardingConfig(unigram), Execution(max_bad=0))
    right = ShardingConfig(unigram, reading=ReadingConfig(text_key="body"))
    assert shard([lines], tmp_path / "set", right)[0].documents == 3


@pytest.fixture
def unfinished(
    tmp_path: Path, corpus: list[Path], unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Work of which some is done, and how to go on with it."""

    def stop(job: object, cleaned: object, written: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sharding_module._Job, "_publish", stop)
    with pytest.raises(KeyboardInterrupt):
        shard(corpus, tmp_path / "set", ShardingConfig(unigram))
    monkeypatch.undo()
    assert WorkFolder.beside(tmp_path / "set").units_done()
    return lambda **choices: shard(corpus, tmp_path / "set", ShardingConfig(unigram, **choices))


def test_what_differs_from_unfinished_work_is_named(unfinished: Callable[..., Any]) -> None:
    reported = r"work of another command: reading\.text_key was 'text'; repeat that command"
    with pytest.raises(DataError, match=reported):
        unfinished(reading=ReadingConfig(text_key="body"))
    assert unfinished()[1]


def test_work_of_another_version_is_not_gone_on_with(
    unfinished: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_module, "version", lambda name: "0.0.1")
    with pytest.raises(DataError) as caught:
        unfinished()
    monkeypatch.undo()
    assert f"made_with.ftfy was '{version('ftfy')}'" in str(caught.value)
    made = unfinished()[0].manifest.made_with
    assert made["sentencepiece"] == version("sentencepiece")
    assert made["dslm"] == dslm.__version__


def test_work_whose_files_had_another_form_is_never_read(
    unfinished: Callable[..., Any], tmp_path: Path
) -> None:
    path = WorkFolder.beside(tmp_path / "set").path / "plan.json"
    plan = json.loads(path.read_text())
    for other in ({}, {"format": FORMAT - 1}, {"format": FORMAT + 1}):
        path.write_text(json.dumps({**plan, "format": None} | other))
        with pytest.raises(DataError, match="unfinished work of another version of dslm; finish"):
            unfinished()
    path.write_text(json.dumps(plan))
    assert unfinished()[1]


def test_a_set_of_another_version_is_still_the_one_asked_for(
    corpus: list[Path], unigram: Path, text_shards: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_module, "version", lambda name: "0.0.1")
    assert not shard(corpus, text_shards.folder, ShardingConfig(unigram, shard_size=1000))[1]


def test_an_input_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("the river")
    paths, plain = sorted(tmp_path.glob("*.txt")), sharding_module._Job._publish

    def meanwhile(*arguments: Any) -> None:
        paths[1].write_text("the dark river")
        plain(*arguments)

    monkeypatch.setattr(sharding_module._Job, "_publish", meanwhile)
    with pytest.raises(DataError, match=r"^b\.txt: has changed while it was read; remove .*set"):
        shard(paths, tmp_path / "set", ShardingConfig(unigram))
    assert not (tmp_path / "set").exists()


def test_a_set_already_there_is_proved_by_one_rank_with_progress(
    tmp_path: Path, unigram: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("the river")
    shard([path], tmp_path / "set", ShardingConfig(unigram))
    reported: list[int] = []
    shard([path], tmp_path / "set", ShardingConfig(unigram), Execution(progress=reported.append))
    assert sum(reported) == len("the river")
    path.write_text("the stone")
    second = Execution(task=Task(1, 2), progress=reported.append)
    assert not shard([path], tmp_path / "set", ShardingConfig(unigram), second)[1]
    assert sum(reported) == len("the river")
    path.write_text("the dark stone")
    with pytest.raises(DataError, match="made from other text"):
        shard([path], tmp_path / "set", ShardingConfig(unigram), second)


def test_who_comes_when_the_set_was_just_published_leaves_nothing_behind(
    tmp_path: Path, corpus: list[Path], unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard(corpus, tmp_path / "set", ShardingConfig(unigram))
    looks = iter([False])  # as it was a moment ago
    monkeypatch.setattr(sharding_module, "occupied", lambda path: next(looks, True))
    with pytest.raises(DataError, match="other settings"):
        shard(corpus, tmp_path / "set", ShardingConfig(unigram, shard_size=1000))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_without_locks_two_may_publish_and_the_first_has_done_it(
    tmp_path: Path, corpus: list[Path], unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr("dslm.preprocess.work.folder.fcntl.flock", refuse)
    plain = sharding_module.assemble
    shard(corpus, tmp_path / "other", ShardingConfig(unigram))

    def overtaken(*arguments: Any) -> Path:
        made = plain(*arguments)
        (tmp_path / "other").rename(tmp_path / "set")
        return made

    monkeypatch.setattr(sharding_module, "assemble", overtaken)
    assert not shard(corpus, tmp_path / "set", ShardingConfig(unigram))[1]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_refusal_of_the_system_is_reported_with_its_file(
    tmp_path: Path, corpus: list[Path], unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "some/file")

    monkeypatch.setattr(unit_writer, "ShardWriter", forbid)
    with pytest.raises(SetupError, match=r"^some/file: .*Permission denied; mend that, or choose"):
        shard(corpus, tmp_path / "set", ShardingConfig(unigram))


def test_a_unit_is_sent_to_a_worker_without_the_names_of_all_inputs(
    tmp_path: Path, unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    plain = Workers.each

    def weighed(self, work: Any, units: Sequence[Any], progress: Advance | None) -> list[Any]:
        sent.append(max(len(pickle.dumps((work, unit))) for unit in units))
        return plain(self, work, units, progress)

    monkeypatch.setattr(Workers, "each", weighed)
    for number in range(300):
        (tmp_path / f"{number}-{'x' * 100}.txt").write_text("the river")
    sharding = ShardingConfig(unigram, shard_size=20)
    shard(sorted(tmp_path.glob("*.txt")), tmp_path / "set", sharding)
    assert max(sent) < 100 * 100


def test_a_full_disk_is_one_clear_error(
    tmp_path: Path, corpus: list[Path], unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullWriter(ShardWriter):
        def add(self, rows: Rows) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(unit_writer, "ShardWriter", FullWriter)
    with pytest.raises(SetupError, match=r"No space left on device; free some space.*is kept"):
        shard(corpus, tmp_path / "set", ShardingConfig(unigram))
    monkeypatch.undo()
    assert shard(corpus, tmp_path / "set", ShardingConfig(unigram))[1]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_set_that_another_process_finishes_meanwhile_is_found(
    tmp_path: Path, corpus: list[Path], unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sharding_module._Job._publish

    def twice(*arguments: Any) -> None:
        plain(*arguments)  # as another process would, whose turn it was first
        plain(*arguments)

    monkeypatch.setattr(sharding_module._Job, "_publish", twice)
    shards, made = shard(corpus, tmp_path / "set", ShardingConfig(unigram))
    assert not made
    assert shards.documents == 43
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_work_that_another_process_gave_up_is_not_waited_for(
    tmp_path: Path, corpus: list[Path], unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(work_pass: WorkPass, *_: object) -> list[UnitRecord]:
        work_pass.folder.remove()
        return []

    monkeypatch.setattr(sharding_module.WorkPass, "finish", give_up)
    with pytest.raises(DataError, match=r"\.set\.partial: was removed by another process"):
        shard(corpus, tmp_path / "set", ShardingConfig(unigram))
