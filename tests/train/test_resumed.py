"""What a resumed run says is another: settings, and the course of the learning rate."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dslm.environment import World
from dslm.errors import UserError
from dslm.run.checkpoint import layer_file
from dslm.run.checkpoint_writer import Writer
from dslm.run.schedule import factor
from dslm.train.prepare import Job, prepare
from dslm.train.resumed import changes, rate, resumed

FORMER = ["schedule.warmup_steps=10", "steps=200"]


@pytest.fixture
def make_job(shard_set: Path, deepspeed_settings: dict[str, Any], tmp_path: Path) -> Any:
    """Makes a checked job in one folder, with more words and parameters of the optimizer."""

    def make(*words: str, **parameters: float) -> Job:
        optimizer = {**deepspeed_settings["optimizer"]}
        optimizer["params"] = {**optimizer["params"], **parameters}
        file = tmp_path / "deepspeed.json"
        file.write_text(json.dumps({**deepspeed_settings, "optimizer": optimizer}))
        given = ["tiny", f"data.train={shard_set}", f"run={tmp_path / 'run'}", *words]
        return prepare(given, None, str(file), World(size=2, local_size=2))

    return make


def record(job: Job) -> dict[str, Any]:
    """What ``run.json`` holds of it, as read from the file."""
    held = {"config": job.settings, "deepspeed": job.deepspeed, "data": job.sources.record()}
    found: dict[str, Any] = json.loads(json.dumps(held))
    return found


def trained(job: Job, steps: int) -> dict[str, Any]:
    """Write the metrics of its first steps, and return its record."""
    peak, config = job.deepspeed["optimizer"]["params"]["lr"], job.config
    rates = [peak * factor(config.schedule, step, config.steps) for step in range(steps)]
    lines = [{"step": n, "loss": 2.0, "learning_rate": r} for n, r in enumerate(rates, 1)]
    job.folder.path.mkdir(exist_ok=True)
    job.folder.write_record(record(job))
    job.folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return record(job)


def checkpoint(job: Job, step: int, *moments: str) -> Path:
    """A checkpoint of one weight and its moments."""
    writer, weight = Writer(job.folder.checkpoints, step), torch.ones(3)
    writer.begin()
    files = {
        layer_file(0, moments=False): {"0.weight": weight},
        layer_file(0, moments=True): {f"0.weight#{name}": weight for name in moments},
    }
    written = {name: writer.write(name, tensors) for name, tensors in files.items()}
    writer.publish(written, {"step": step})
    return writer.final / layer_file(0, moments=True)


def garbled(file: Path) -> None:
    file.write_bytes(b"x" * file.stat().st_size)


@pytest.mark.parametrize(
    "damage",
    [Path.unlink, garbled, partial(Path.write_bytes, data=b"x" * 900)],
    ids=["gone", "garbled", "of another length"],
)
def test_a_damaged_checkpoint_is_not_taken_for_one_of_another_optimizer(
    damage: Callable[[Path], object], make_job: Any
) -> None:
    job = make_job()
    trained(job, 6)
    checkpoint(job, 3, "exp_avg", "exp_avg_sq")
    file = checkpoint(job, 6, "momentum_buffer")
    with pytest.raises(UserError, match="the checkpoint of step 6 holds momentum_buffer"):
        make_job()
    damage(file)
    make_job()


def test_nothing_is_said_when_nothing_is_another(make_job: Any) -> None:
    before = trained(make_job(*FORMER), 100)
    assert resumed(make_job(*FORMER), before, 100) == []


def test_a_longer_run_says_what_the_rate_does_and_what_to_type_instead(make_job: Any) -> None:
    before = trained(make_job(*FORMER), 200)
    job = make_job("schedule.warmup_steps=10", "steps=400")
    assert resumed(job, before, 200) == [
        "changed  steps 200 → 400",
        "lr       was 1.00e-04 at step 200, goes on with 5.66e-04; "
        "schedule.steps=200 goes on with 1.00e-04",
    ]


def test_what_it_offers_is_without_a_jump(make_job: Any) -> None:
    before = trained(make_job(*FORMER), 200)
    job = make_job("schedule.warmup_steps=10", "steps=400", "schedule.steps=200")
    assert rate(job, before, 200) == ""
    assert list(changes(job, before)) == ["schedule.steps null → 200", "steps 200 → 400"]


def test_it_is_said_again_after_a_start_that_made_no_step(make_job: Any) -> None:
    trained(make_job(*FORMER), 200)
    job = make_job("schedule.warmup_steps=10", "steps=400")
    assert "schedule.steps=200 goes on with 1.00e-04" in rate(job, record(job), 200)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (["schedule.kind=linear"], "schedule.kind cosine → linear"),
        (["schedule.minimum=0.5"], "schedule.minimum 0.1 → 0.5"),
        (["schedule.warmup_steps=60"], "schedule.warmup_steps 10 → 60"),
    ],
)
def test_another_schedule_is_said_with_both_rates(
    words: list[str], change: str, make_job: Any
) -> None:
    before = trained(make_job(*FORMER), 40)
    former = [word for word in FORMER if word.partition("=")[0] != words[0].partition("=")[0]]
    job = make_job(*former, *words)
    peak, config = job.deepspeed["optimizer"]["params"]["lr"], job.config
    height = factor(config.schedule, 40, config.steps)
    assert list(changes(job, before)) == [change]
    assert f"at step 40, goes on with {peak * height:.2e}" in rate(job, before, 40)


def test_another_peak_is_said_with_both_rates(make_job: Any) -> None:
    before = trained(make_job(*FORMER), 200)
    job = make_job(*FORMER, "keep=5", lr=1e-2)
    assert list(changes(job, before)) == ["keep 3 → 5", "optimizer.params.lr 0.001 → 0.01"]
    assert rate(job, before, 150).startswith("was 2.47e-04 at step 150, goes on with ")
    assert "schedule.steps" not in rate(job, before, 150)


def test_another_validation_set_is_said_also_under_the_same_name(
    make_job: Any, shard_set: Path
) -> None:
    job = make_job(*FORMER, f"data.validation={shard_set}")
    before = record(job)
    assert list(changes(job, record(make_job(*FORMER)))) == [
        f"data.validation null → {shard_set}",
    ]
    before["data"]["validation"]["fingerprint"] = "of other shards"
    assert list(changes(job, before)) == ["the shards of data.validation"]


def test_a_run_json_of_an_earlier_version_has_the_defaults_of_newer_settings(
    make_job: Any,
) -> None:
    before = record(make_job(*FORMER))
    del before["config"]["schedule"]["steps"], before["config"]["keep"]
    assert list(changes(make_job(*FORMER), before)) == []
