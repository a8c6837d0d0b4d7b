from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from helpers.work_plan import PLAN

import dslm
from dslm.errors import DataError
from dslm.files.whole import beside
from dslm.preprocess.work.folder import UnitRecord, WorkFolder
from dslm.shards.statistics import Statistics


def refuse(handle: int, how: int) -> None:
    """`fcntl.flock` on a file system without locks."""
    raise OSError(95, "Operation not supported")


def begin(work: WorkFolder, plan: Mapping[str, Any] = PLAN) -> int:
    with work.joined(plan) as since:
        return since


def finish(work: WorkFolder, content: bytes = b"tokens") -> UnitRecord:
    """Finish unit 7 of a pass, with one file."""
    work.file("shard-7").write_bytes(content)
    done = UnitRecord(work.hashed("shard-7"), Statistics(documents=3))
    work.finish("write", 7, done)
    return done


def test_it_stands_hidden_beside_the_output(tmp_path: Path) -> None:
    assert WorkFolder.beside(tmp_path / "set").path == tmp_path / ".set.partial"


def test_what_is_finished_is_found_as_it_was(work: WorkFolder) -> None:
    assert work.done("write", 7) is None
    done = finish(work)
    assert WorkFolder(work.path).done("write", 7) == done
    assert work.done("clean", 7) is None
    assert work.units_done() == 1


def changed(**changes: Any) -> dict[str, Any]:
    return {**PLAN, **changes}


OTHER = changed(tokenizer="2" * 64)


def test_the_same_plan_takes_the_folder_up_again_and_another_is_refused(work: WorkFolder) -> None:
    finish(work)
    begin(work)
    assert work.units_done() == 1
    reported = r"\.set\.partial: holds unfinished work of another command: tokenizer was '1111"
    with pytest.raises(DataError, match=reported):
        begin(work, OTHER)


def test_where_nothing_was_finished_another_plan_takes_the_place_of_the_first(
    work: WorkFolder,
) -> None:
    work.file("shard-00000-00000.arrow").touch()  # of a unit that failed
    begin(work, OTHER)
    finish(work)
    begin(work, OTHER)
    assert [path.name for path in (work.path / "files").iterdir()] == ["shard-7"]
    with pytest.raises(DataError, match="holds unfinished work"):
        begin(work)


def test_a_plan_on_which_somebody_is_at_work_stays(work: WorkFolder) -> None:
    with work.joined(PLAN), pytest.raises(DataError, match="holds unfinished work"):
        begin(work, OTHER)
    with work.lock("write", 1), pytest.raises(DataError, match="holds unfinished work"):
        begin(work, OTHER)
    begin(work, OTHER)


def test_where_locks_do_not_work_a_plan_stays(
    work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslm.preprocess.work.folder.fcntl.flock", refuse)
    begin(work)
    with pytest.raises(DataError, match="holds unfinished work"):
        begin(work, OTHER)


def test_work_that_came_to_nothing_gives_way_to_another_plan(work: WorkFolder) -> None:
    finish(work)
    work.came_to_nothing()
    begin(work)
    assert work.finished("write") == {7}
    assert (work.begun, work.units_done()) == (False, 0), "nothing to go on with"
    begin(work, OTHER)
    assert work.finished("write") == set()
    assert work.begun
    finish(work)
    with pytest.raises(DataError, match="holds unfinished work"):
        begin(work)


def test_the_inputs_are_known_by_their_names(work: WorkFolder) -> None:
    assert work.names == ("a.jsonl", "b.jsonl")
    begin(work, changed(inputs=[["c.jsonl", "10@1"]]))
    assert work.names == ("c.jsonl",)


def test_what_a_killed_process_began_of_a_unit_goes_when_the_unit_is_taken_again(
    work: WorkFolder,
) -> None:
    mine = ["texts-00007", "signatures-00007", "left-out-00007"]
    others = ["texts-00008", "texts-000070", "shard-00007-00000.arrow"]
    for name in (*mine, *others):
        beside(work.file(name)).touch()
    elsewhere = beside(work.file("texts-00007")).name.replace(gethostname(), "another")
    (work.path / "files" / elsewhere).touch()
    with work.lock("clean", 7):
        pass
    with work.lock("clean", 7):
        left = {path.name for path in (work.path / "files").iterdir()}
        assert left == {*(beside(work.file(name)).name for name in others), elsewhere}


def test_without_locks_nothing_that_another_may_be_writing_goes(
    work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslm.preprocess.work.folder.fcntl.flock", refuse)
    stray = beside(work.file("texts-00007"))
    stray.touch()
    for _ in range(2):
        with work.lock("clean", 7):
            assert stray.exists()


def test_a_unit_that_nobody_finished_is_not_kept(work: WorkFolder) -> None:
    assert not work.kept("write", 7, 0)


def test_a_unit_from_before_is_kept_if_its_files_are_whole(work: WorkFolder) -> None:
    finish(work)
    age(work)
    since = begin(work)
    assert work.kept("write", 7, since)


@pytest.mark.parametrize("damage", [b"tokenz", b"token", None])
def test_a_unit_from_before_is_not_kept_if_a_file_is_damaged_or_gone(
    work: WorkFolder, damage: bytes | None
) -> None:
    finish(work)
    age(work)
    if damage is None:
        work.file("shard-7").unlink()
    else:
        work.file("shard-7").write_bytes(damage)
    assert not work.kept("write", 7, begin(work))


def test_a_unit_that_was_proved_is_not_proved_again_by_those_who_began_before(
    work: WorkFolder,
) -> None:
    finish(work)
    age(work)
    one, two = begin(work), begin(work)
    assert work.kept("write", 7, one)
    work.file("shard-7").unlink()  # which only who reads it can see
    assert work.kept("write", 7, two)


def age(work: WorkFolder) -> None:
    """As if an earlier process had finished it."""
    (record,) = (work.path / "records").iterdir()
    os.utime(record, (1, 1))


def test_one_unit_is_given_to_one_at_a_time(work: WorkFolder) -> None:
    with work.lock("write", 1) as mine, work.lock("write", 1) as again, work.lock("write", 2) as b:
        assert (mine, again, b) == (True, False, True)
    with work.lock("write", 1) as mine:
        assert mine


def test_a_process_that_dies_lets_go_of_its_unit(work: WorkFolder) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from dslm.preprocess.work.folder import WorkFolder\n"
        "with WorkFolder(Path(sys.argv[1])).lock('write', 1) as free:\n"
        "    print(free, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(work.path)]
    env = {**os.environ, "PYTHONPATH": str(Path(dslm.__file__).parents[1])}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with work.lock("write", 1) as free:
            assert not free
        other.kill()
        other.wait(30)
        with work.lock("write", 1) as free:
            assert free


def test_without_locks_every_unit_is_free(
    work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslm.preprocess.work.folder.fcntl.flock", refuse)
    with work.lock("write", 1) as one, work.lock("write", 1) as two:
        assert (one, two) == (True, True)


def test_nothing_is_free_once_the_folder_is_gone(work: WorkFolder) -> None:
    work.remove()
    with work.lock("write", 1) as free:
        assert not free
    assert not work.path.exists()


def test_a_record_that_was_tampered_with_is_refused(work: WorkFolder) -> None:
    finish(work)
    (record,) = (work.path / "records").iterdir()
    record.write_text(record.read_text().replace('"files"', '"filez"'))
    with pytest.raises(DataError, match="filez"):
        work.done("write", 7)
