"""What checkpoints a run has is told truthfully, whatever has become of its folder."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.checkpoints import PLAN, cut_manifest, flip, lose, make_run, save, truncate

from dslm.run.checkpoint_list import Measured, damage, take_inventory
from dslm.run.folder import RunFolder


def test_each_checkpoint_has_its_numbers_the_newest_first(tmp_path: Path) -> None:
    found = take_inventory(RunFolder(make_run(tmp_path, 10, 20, 25, keep=3, keep_every=20)))
    newest, milestone, oldest = found.checkpoints
    assert [one.step for one in found.checkpoints] == [25, 20, 10]
    assert (newest.samples, newest.tokens) == (400, 400 * PLAN["sequence"])
    assert newest.loss == Measured(8.0, 20)
    assert (milestone.loss, milestone.validation_loss) == (Measured(8.0, 20), Measured(8.5, 20))
    assert (oldest.loss, oldest.validation_loss) == (Measured(9.0, 10), None)
    assert [one.is_milestone for one in found.checkpoints] == [False, True, False]
    assert newest.bytes == sum(file.stat().st_size for file in newest.path.iterdir())
    assert newest.layout == PLAN
    assert (found.newest_whole, found.best) == (25, 20)
    assert (found.keep, found.keep_every) == (3, 20)
    assert not found.in_use


def test_the_layout_in_the_manifest_comes_before_that_of_the_record(tmp_path: Path) -> None:
    run = make_run(tmp_path, 10)
    path = run / "checkpoints" / "step-00000010" / "manifest.json"
    manifest = json.loads(path.read_text())
    for layout, found in (({"world": 64}, {"world": 64}), ({}, PLAN)):
        path.write_text(json.dumps({**manifest, "layout": layout}))
        (one,) = take_inventory(RunFolder(run)).checkpoints
        assert one.layout == found


@pytest.mark.parametrize("harm", [truncate, lose, cut_manifest])
def test_what_is_damaged_at_first_sight_is_not_gone_on_from(
    harm: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    run = make_run(tmp_path, 10, 20)
    file = harm(run, 20)
    found = take_inventory(RunFolder(run))
    assert found.newest_whole == 10
    (problem,) = found.checkpoints[0].damage
    assert problem.where.startswith(str(file))
    assert not found.checkpoints[1].damage


def test_a_changed_byte_is_not_seen_at_first_sight(tmp_path: Path) -> None:
    flip(make_run(tmp_path, 10), 10)
    assert take_inventory(RunFolder(tmp_path)).newest_whole == 10


def test_a_checkpoint_of_another_version_is_no_crash(tmp_path: Path) -> None:
    make_run(tmp_path, 10, 20)
    path = tmp_path / "checkpoints" / "step-00000020" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    found = take_inventory(RunFolder(tmp_path))
    assert found.newest_whole == 10
    assert "format" in found.checkpoints[0].damage[0].where


def test_what_a_killed_run_left_is_listed_apart(tmp_path: Path) -> None:
    make_run(tmp_path, 10)
    partial = tmp_path / "checkpoints" / ".step-00000020.partial"
    partial.mkdir()
    (partial / "layer-0000.safetensors").write_bytes(bytes(1000))
    (one,) = take_inventory(RunFolder(tmp_path)).unfinished
    assert (one.path, one.bytes) == (partial, 1000)


def test_a_run_in_training_is_in_use(tmp_path: Path) -> None:
    make_run(tmp_path, 10)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert take_inventory(RunFolder(tmp_path)).in_use
    assert not take_inventory(RunFolder(tmp_path)).in_use


def test_a_run_without_record_metrics_or_copies_still_has_checkpoints(tmp_path: Path) -> None:
    save(tmp_path / "checkpoints", 10)
    (one,) = take_inventory(RunFolder.open(tmp_path)).checkpoints
    assert (one.samples, one.tokens, one.loss, one.layout) == (160, None, None, {})


@pytest.mark.parametrize("config", [{"keep": "all", "keep_every": 0}, {"keep_every": -5}])
def test_a_record_that_a_person_has_edited_is_no_crash(
    config: dict[str, object], tmp_path: Path
) -> None:
    found = take_inventory(RunFolder(make_run(tmp_path, 10, **config)))
    assert (found.keep, found.keep_every) == (None, None)


def test_a_disk_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    def fails(path: Path) -> list[object]:
        raise OSError(5, "Input/output error", str(path / "x"))

    (problem,) = damage(tmp_path, fails)  # type: ignore[arg-type]
    assert str(problem) == f"{tmp_path / 'x'}: cannot be read: Input/output error"
