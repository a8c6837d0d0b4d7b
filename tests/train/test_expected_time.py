"""How long a run will take is told before it begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dslm.environment import World
from dslm.parallel.cpu_speed import cpu_device
from dslm.parallel.devices import Device
from dslm.train.expected_time import run_seconds, step_seconds
from dslm.train.prepare import Job, prepare
from dslm.train.screen import first_screen

ALONE = World()
SLOW = Device("CPU", 1e9, 1e9, 0.0, 1e9, 1e9, 1e9)
FAST = Device("CPU", 1e12, 1e12, 0.0, 1e11, 1e9, 1e9)


@pytest.fixture
def make_job(shard_set: Path, deepspeed_settings: dict[str, Any], tmp_path: Path) -> Any:
    def make(*words: str) -> Job:
        file = tmp_path / "deepspeed.json"
        file.write_text(json.dumps(deepspeed_settings))
        shape = ["model.layers=2", "model.heads=2", "model.width=32", "model.sequence=64"]
        words = ("tiny", *shape, f"data.train={shard_set}", f"run={tmp_path}/run", *words)
        return prepare(words, None, str(file), ALONE)

    return make


def test_it_grows_with_the_steps_that_are_left(make_job: Any) -> None:
    job = make_job("steps=100")
    whole = run_seconds(job, ALONE, SLOW)
    assert whole == pytest.approx(100 * step_seconds(job, ALONE, SLOW))
    assert run_seconds(job, ALONE, SLOW, first=75) == pytest.approx(whole / 4)
    assert run_seconds(job, ALONE, SLOW, first=100) == 0


def test_a_faster_device_takes_less(make_job: Any) -> None:
    job = make_job("steps=100")
    assert run_seconds(job, ALONE, FAST) < run_seconds(job, ALONE, SLOW) / 2


def test_measuring_the_validation_loss_counts(make_job: Any, shard_set: Path) -> None:
    alone = run_seconds(make_job("steps=100"), ALONE, SLOW)
    seldom, often = (
        run_seconds(
            make_job("steps=100", f"data.validation={shard_set}", f"evaluation_interval={every}"),
            ALONE,
            SLOW,
        )
        for every in (100, 10)
    )
    assert often - alone == pytest.approx(10 * (seldom - alone))


def test_nothing_is_said_of_a_device_that_is_not_known(make_job: Any) -> None:
    job = make_job()
    assert run_seconds(job, World(cpu=False), None) is None
    assert "about" not in _line(first_screen(job, ALONE, 0), "steps")


def test_the_first_screen_says_it_and_warns_of_days_on_a_cpu(make_job: Any) -> None:
    job = make_job("steps=100")
    lines = first_screen(job, ALONE, 0, seconds=3725.0)
    assert _line(lines, "steps").endswith(" · about 1h02m at the speed of this machine")
    resumed = _line(first_screen(job, ALONE, 60, seconds=60.0), "steps")
    assert resumed.endswith(" · about 1m00s for the 40 left, at the speed of this machine")
    assert not [line for line in lines if line.startswith("warning")]
    assert "about 11d13h" in _line(first_screen(job, ALONE, 0, seconds=1e6), "warning")
    on_gpu = first_screen(job, World(cpu=False), 0, seconds=1e6)
    assert not [line for line in on_gpu if line.startswith("warning")]


def test_ranks_of_a_host_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cpu_device.cache_clear()
    alone, shared = (cpu_device(World(size=n, local_size=n)) for n in (1, 64))
    assert shared.single < alone.single / 8, "a rank of 64 has a 64th, but for noise"


def _line(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(f"{name:<9}"))
