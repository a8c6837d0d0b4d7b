"""A signal to any rank at any time: one agreed checkpoint, exit code 0, and the run goes on."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch
from helpers.requests import At

pytestmark = pytest.mark.ranks

LAYOUTS = {"ZeRO-1": (1, 1), "ZeRO-3": (3, 1), "pipeline": (1, 2)}
STEPS = 8

Train = Callable[..., Ended]


@pytest.fixture(scope="module")
def train(words: list[str], shards: Path) -> Train:
    """Trains with two ranks, measuring and saving now and then."""
    more = [f"data.validation={shards}", "evaluation_interval=4", "checkpoint_interval=3"]
    kept = [word for word in words if not word.startswith("evaluation_interval")]

    def run(folder: Path, layout: str, prepare: Any = None) -> Ended:
        stage, stages = LAYOUTS[layout]
        settings = [*kept, *more, f"steps={STEPS}", f"pipeline_stages={stages}"]
        return launch(folder, settings, deepspeed(stage), 2, prepare=prepare)

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, train: Train) -> dict[str, list[float]]:
    """The losses of runs that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    ended = {layout: train(folder / layout, layout) for layout in LAYOUTS}
    assert [run.code for run in ended.values()] == [0, 0, 0]
    return {layout: run.metrics() for layout, run in ended.items()}


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def saved(folder: Path) -> list[int]:
    root = folder / "checkpoints"
    names = [entry.name for entry in root.iterdir()] if root.is_dir() else []
    assert not [name for name in names if not name.startswith("step-")], "half written"
    return sorted(int(name.removeprefix("step-")) for name in names)


STOPS = [
    ("ZeRO-1", At("training", nth=5), "stopped by SIGUSR1 after step 5 of 8", [3, 5]),
    ("ZeRO-3", At("training", signal.SIGINT, 0, nth=2), "by SIGINT after step 2 of 8", [2]),
    ("pipeline", At("training", nth=5), "stopped by SIGUSR1 after step 5 of 8", [3, 5]),
    ("ZeRO-1", At("measuring"), "stopped by SIGUSR1 after step 4 of 8", [3, 4]),
    ("pipeline", At("measuring"), "stopped by SIGUSR1 after step 4 of 8", [3, 4]),
    ("ZeRO-3", At("saving"), "stopped by SIGUSR1 after step 3 of 8", [3]),
    ("ZeRO-1", At("saving", signal.SIGTERM, times=2), "by SIGTERM after step 3 of 8", [3]),
    ("ZeRO-1", At("starting"), "stopped by SIGUSR1 before its first step", []),
    ("ZeRO-1", At("checking", signal.SIGTERM), "by SIGTERM before its first step", []),
]


@pytest.mark.parametrize(("layout", "stop", "how", "steps"), STOPS)
def test_a_signal_to_one_rank_stops_all_and_the_same_command_goes_on(
    layout: str,
    stop: At,
    how: str,
    steps: list[int],
    tmp_path: Path,
    train: Train,
    whole: dict[str, list[float]],
) -> None:
    stopped = train(tmp_path / "run", layout, stop)
    assert stopped.code == 0, stopped.messages
    now = record(stopped.folder)
    assert now["status"] == "preempted"
    assert how in now["ended"]
    assert f"ended    {now['ended']}" in stopped.results
    assert f"steps={STEPS} " in stopped.results.partition("resume ")[2]
    assert saved(stopped.folder) == steps
    resumed = train(stopped.folder, layout)
    assert resumed.code == 0, resumed.messages
    assert resumed.metrics() == whole[layout], "the next sample is the one that was next"
    assert record(stopped.folder)["status"] == "done"


def test_a_measurement_is_cut_short(tmp_path: Path, train: Train) -> None:
    stopped = train(tmp_path / "run", "ZeRO-1", At("measuring"))
    assert stopped.metrics("validation_loss") == []


def test_a_signal_while_a_checkpoint_is_restored_stops_without_a_step(
    tmp_path: Path, train: Train, whole: dict[str, list[float]]
) -> None:
    for stop in (At("training", nth=4), At("restoring", signal.SIGTERM)):
        stopped = train(tmp_path / "run", "ZeRO-1", stop)
        assert (stopped.code, record(stopped.folder)["status"]) == (0, "preempted")
    assert "by SIGTERM after step 4 of 8" in record(stopped.folder)["ended"]
    assert saved(stopped.folder) == [3, 4]
    assert train(stopped.folder, "ZeRO-1").metrics() == whole["ZeRO-1"]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (At("writing", signal.SIGTERM, 0, nth=4, times=3), 128 + signal.SIGTERM),
        (At("training", signal.SIGTERM, 1, nth=5, times=3), 128 + signal.SIGTERM),
        (At("writing", signal.SIGKILL, 0, nth=4), -signal.SIGKILL),
        (At("checking", signal.SIGINT, 0, times=3), 128 + signal.SIGINT),
    ],
)
def test_what_ends_a_process_at_once_leaves_nothing_half_written(
    end: At, code: int, tmp_path: Path, train: Train, whole: dict[str, list[float]]
) -> None:
    ended = train(tmp_path / "run", "ZeRO-1", end)
    assert ended.code == code
    if end.number == signal.SIGTERM:
        how = record(ended.folder)["ended"]
        assert f"rank {end.rank} on host " in how
        assert " ended at once at step " in how
        assert how.endswith(": by SIGTERM")
    resumed = train(ended.folder, "ZeRO-1")
    assert resumed.code == 0, resumed.messages
    assert resumed.metrics() == whole["ZeRO-1"]
