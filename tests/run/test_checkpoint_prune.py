"""What may go is decided by bytes that were compared; what a run goes on from never goes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.checkpoints import cut_manifest, flip, lose, make_run, truncate
from hypothesis import given, settings
from hypothesis import strategies as st

from dslm.errors import CheckpointError
from dslm.run.checkpoint import checkpoints, newest_good, verify
from dslm.run.checkpoint_prune import carry_out, plan_pruning

HARMS: list[Callable[[Path, int], Path]] = [truncate, flip, lose, cut_manifest]


def pruned(run: Path, keep: int, keep_every: int | None = None) -> list[int]:
    """Prune; the steps that are left."""
    root = run / "checkpoints"
    assert carry_out(root, plan_pruning(root, keep, keep_every)) == []
    return [step for step, _ in checkpoints(root)]


def test_the_newest_stay_and_what_was_left_unfinished_goes(tmp_path: Path) -> None:
    run = make_run(tmp_path, 10, 20, 30, 40)
    for name in (".step-00000050.partial", ".step-00000005.removed"):
        (run / "checkpoints" / name).mkdir()
    assert pruned(run, 2) == [40, 30]
    assert len(list((run / "checkpoints").iterdir())) == 2


def test_every_multiple_stays(tmp_path: Path) -> None:
    assert pruned(make_run(tmp_path, 10, 20, 30, 40, 50), 1, 20) == [50, 40, 20]


def test_the_best_stays_if_it_is_whole(tmp_path: Path) -> None:
    root = make_run(tmp_path, 10, 20, 30) / "checkpoints"
    pruning = plan_pruning(root, 1, None, best=10)
    assert (pruning.stays, pruning.best, pruning.milestones) == ([30, 10], 10, [])
    lose(tmp_path, 10)
    pruning = plan_pruning(root, 1, None, best=10)
    assert (pruning.stays, pruning.best) == ([30], None)


def test_nothing_goes_before_it_is_carried_out_and_the_sum_is_what_gets_free(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path, 10, 20, 30)
    root = run / "checkpoints"

    def size() -> int:
        return sum(file.stat().st_size for file in root.rglob("*.*") if file.is_file())

    before = size()
    pruning = plan_pruning(root, 1, None)
    assert size() == before
    carry_out(root, pruning)
    assert before - size() == pruning.bytes > 0


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_newest_one_protects_nothing(
    harm: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    run = make_run(tmp_path, 10, 20, 30)
    harm(run, 30)
    pruning = plan_pruning(run / "checkpoints", 1, None)
    assert (pruning.newest_whole, pruning.damaged) == (20, [30])
    assert pruned(run, 1) == [30, 20]


def test_a_damaged_one_older_than_those_that_stay_goes(tmp_path: Path) -> None:
    run = make_run(tmp_path, 10, 20, 30)
    truncate(run, 10)
    assert pruned(run, 2, 10) == [30, 20]


def test_where_none_is_whole_none_goes(tmp_path: Path) -> None:
    run = make_run(tmp_path, 10, 20)
    for step, harm in ((10, flip), (20, lose)):
        harm(run, step)
    with pytest.raises(CheckpointError, match="no whole checkpoint is left, so nothing is removed"):
        plan_pruning(run / "checkpoints", 1, None)


def test_one_of_another_version_is_not_judged(tmp_path: Path) -> None:
    run = make_run(tmp_path, 10, 20, 30)
    path = run / "checkpoints" / "step-00000010" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    assert pruned(run, 1) == [30, 10]


def test_a_run_of_which_only_the_first_save_was_killed_loses_that(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".step-00000010.partial").mkdir(parents=True)
    assert pruned(tmp_path, 1) == []
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_what_cannot_be_removed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_run(tmp_path, 10, 20) / "checkpoints"
    pruning = plan_pruning(root, 1, None)

    def refuses(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuses)
    (problem,) = carry_out(root, pruning)
    assert str(problem) == f"{root / 'step-00000010'}: could not be removed: Permission denied"


@settings(max_examples=30)
@given(
    steps=st.sets(st.integers(0, 12), min_size=1, max_size=5),
    harms=st.lists(st.sampled_from([None, *HARMS]), min_size=5, max_size=5),
    keep=st.integers(1, 4),
    keep_every=st.one_of(st.none(), st.integers(1, 5)),
)
def test_the_run_goes_on_from_the_same_step_and_nothing_whole_goes_that_should_stay(
    steps: set[int],
    harms: list[Callable[[Path, int], Path] | None],
    keep: int,
    keep_every: int | None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder), *steps)
        root = run / "checkpoints"
        for step, harm in zip(sorted(steps), harms, strict=False):
            if harm:
                harm(run, step)
        whole = [step for step, path in checkpoints(root) if not verify(path)]
        before = newest_good(root, verify)[0]
        if before is None:
            with pytest.raises(CheckpointError):
                plan_pruning(root, keep, keep_every)
            return
        left = pruned(run, keep, keep_every)
        assert newest_good(root, verify)[0] == before
        assert before in left
        if not any(harm is flip for harm in harms):  # only the newest ones' bytes are compared
            assert set(whole[:keep]) <= set(left)
        if keep_every:
            assert {step for step in whole if step % keep_every == 0} <= set(left)
        assert pruned(run, keep, keep_every) == left
