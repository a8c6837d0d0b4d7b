"""The checkpoint with the best metric, or the lowest loss, stays beside the newest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from dslm.run.best import Measured, best, best_measured, read_measured, write_measured
from dslm.run.checkpoint import checkpoints, prune
from dslm.run.checkpoint_writer import Writer

losses = st.floats(0, 9)


def save(root: Path, step: int, measured: Measured | None) -> None:
    writer = Writer(root, step)
    writer.begin()
    writer.publish({}, {"step": step, **write_measured(measured)})


def saved(root: Path, measured: Mapping[int, float | None], data: str = "a", rows: int = 9) -> Path:
    for step, loss in measured.items():
        save(root, step, None if loss is None else Measured(loss, data, rows))
    return root


metrics = st.dictionaries(st.sampled_from(["f1", "accuracy"]), st.sampled_from([0.0, 0.5, 1.0]))


@given(st.builds(Measured, losses, st.text(), st.integers(1), metrics, st.just("f1")))
def test_what_is_written_is_read(measured: Measured) -> None:
    assert read_measured(write_measured(measured)) == measured


def test_a_loss_that_is_not_finite_is_none() -> None:
    for loss in (math.nan, math.inf):
        assert write_measured(Measured(loss, "a", 9)) == {}
    assert read_measured({"validation": {"loss": math.nan, "data": "a", "rows": 9}}) is None
    assert read_measured({"validation": 3}) is None
    assert read_measured({}) is None


def test_the_lowest_of_those_that_were_measured_is_the_best(tmp_path: Path) -> None:
    assert best(tmp_path) is None
    assert best(saved(tmp_path, {1: None, 2: None})) is None
    assert best(saved(tmp_path, {3: 2.5, 4: 2.25, 5: 3.0, 6: None})) == 4
    assert best(saved(tmp_path, {7: 2.25})) == 7


@given(st.lists(st.builds(Measured, losses, st.just("a"), st.just(9), metrics, st.just("f1"))))
def test_the_highest_metric_is_the_best_then_the_lowest_loss_then_the_newest(
    found: list[Measured],
) -> None:
    with TemporaryDirectory() as folder:
        for step, one in enumerate(found):
            save(Path(folder), step, one)
        chosen = best(Path(folder))
    if chosen is None:
        assert not found
        return
    top = found[chosen]
    for step, one in enumerate(found):
        both = one.metrics.get("f1", -1.0), top.metrics.get("f1", -1.0)
        assert both[0] <= both[1]
        assert both[0] < both[1] or one.loss >= top.loss
        assert both[0] < both[1] or one.loss > top.loss or step <= chosen
        assert not one.beats(top)


def test_what_decides_is_what_the_newest_measurement_says(tmp_path: Path) -> None:
    def measured(loss: float, accuracy: float, by: str) -> Measured:
        return Measured(loss, "a", 9, {"accuracy": accuracy, "f1": 1 - accuracy}, by)

    save(tmp_path, 1, measured(1.0, 0.2, "accuracy"))
    save(tmp_path, 2, measured(2.0, 0.9, "accuracy"))
    assert best(tmp_path) == 2
    save(tmp_path, 3, measured(3.0, 0.5, "loss"))
    assert best(tmp_path) == 1
    save(tmp_path, 4, measured(4.0, 0.5, "f1"))
    assert best_measured(tmp_path) == (1, measured(1.0, 0.2, "accuracy"))
    save(tmp_path, 5, measured(5.0, 0.1, "f1"))
    assert best(tmp_path) == 5
    save(tmp_path, 6, None)
    saved(tmp_path, {7: 9.0}, data="b")
    assert best(tmp_path) == 7


def test_losses_of_other_rows_are_not_compared(tmp_path: Path) -> None:
    saved(tmp_path, {1: 1.0}, rows=8)
    saved(tmp_path, {2: 1.0}, data="b")
    assert best(saved(tmp_path, {3: 3.0, 4: 4.0})) == 3


def test_a_checkpoint_that_cannot_be_read_is_not_the_best(tmp_path: Path) -> None:
    saved(tmp_path, {1: 1.0, 2: 2.0})
    (tmp_path / "step-00000001/state.json").write_text("{")
    assert best(tmp_path) == 2


def test_it_stays_for_as_long_as_it_is_the_best(tmp_path: Path) -> None:
    for step, loss in enumerate([3.0, 2.0, 2.5, 2.6, None, 1.9, 2.0, 2.0], start=1):
        saved(tmp_path, {step: loss})
        prune(tmp_path, 1, best=best(tmp_path))
        stay = {1: {1}, 2: {2}, 3: {2, 3}, 4: {2, 4}, 5: {2, 5}, 6: {6}, 7: {6, 7}, 8: {6, 8}}
        assert {known for known, _ in checkpoints(tmp_path)} == stay[step]
