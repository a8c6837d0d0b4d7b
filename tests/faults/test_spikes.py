"""A loss spike is left out, or the run goes back to before it, at every layout."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.faults import inject
from helpers.launching import Ended, launch

from dslm.train.provenance import trace

pytestmark = pytest.mark.ranks

BF16 = {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
LAYOUTS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "ZeRO-0": (0, 1, {}),
    "ZeRO-2": (2, 1, {}),
    "ZeRO-3, bf16": (3, 1, BF16),
    "pipeline": (1, 2, {}),
}
"""ZeRO stage, pipeline stages, and more of DeepSpeed's JSON."""


@pytest.fixture(scope="module")
def base(words: list[str]) -> list[str]:
    more = ["log_interval=1", "bad_steps.window=4", "bad_steps.deviations=30"]
    return [*words, *more, "schedule.kind=constant", "schedule.warmup_steps=0"]


def spike(samples: range, rank: int) -> None:
    """Let the losses of steps that begin with some samples be high; called before training."""
    from dslm.objectives.base import Objective
    from dslm.train.loop import Loop

    right, train_step, high = Objective.loss, Loop.train_step, [False]

    def counted(loop: Loop) -> Any:
        first = loop.rewinds.next(loop.position.samples)
        high[0] = first in samples
        return train_step(loop)

    def wrong(objective: Objective, *arguments: Any) -> Any:
        return right(objective, *arguments) * (10 if high[0] else 1)

    Loop.train_step, Objective.loss = counted, wrong  # type: ignore[method-assign]


def files(run: Path, step: int) -> dict[str, bytes]:
    folder = run / "checkpoints" / f"step-{step:08d}"
    return {file.name: file.read_bytes() for file in folder.glob("layer-*")}


def skipped(ended: Ended) -> list[dict[str, Any]]:
    return list(map(json.loads, (ended.folder / "skipped.jsonl").read_text().splitlines()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_spike_is_left_out(layout: str, base: list[str], tmp_path: Path) -> None:
    stage, stages, more = LAYOUTS[layout]
    wrong = partial(inject, "the loss is high", range(7, 8), 1)
    words = [*base, "steps=9", "checkpoint_interval=1", "keep=9", "bad_steps.spike=skip"]
    words.append(f"pipeline_stages={stages}")
    ended = launch(tmp_path / "run", words, deepspeed(stage, **more), 2, prepare=wrong)
    assert ended.code == 0, ended.messages
    (line,) = skipped(ended)
    assert (line["step"], line["first_sample"], line["samples"]) == (7, 96, 16)
    assert "is a spike" in line["reason"]
    assert files(ended.folder, 6) == files(ended.folder, 7) != files(ended.folder, 8)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_rewind_passes_over_the_samples_since_the_checkpoint(
    layout: str, base: list[str], tmp_path: Path
) -> None:
    stage, stages, more = LAYOUTS[layout]
    config, run = deepspeed(stage, **more), tmp_path / "run"
    words = [*base, "checkpoint_interval=4", "bad_steps.spike=rewind"]
    words.append(f"pipeline_stages={stages}")
    wrong = partial(spike, range(96, 97))
    ended = launch(run, [*words, "steps=8"], config, 2, prepare=wrong)
    assert ended.code == 0, ended.messages
    assert "back to step 4; samples 64–111 are passed over" in ended.messages
    assert "1 rewind, see skipped.jsonl" in ended.results
    (line,) = skipped(ended)
    assert [line[key] for key in ("step", "first_sample", "samples", "rewound_to")] == [
        *(7, 64, 48, 4)
    ]
    read = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in read] == list(range(1, 9))
    assert [line["tokens"] // 16 for line in read] == [16, 32, 48, 64, 128, 144, 160, 176]
    assert [next(iter(trace(run, step, 0))).sample for step in (4, 5, 8)] == [48, 112, 160]
    losses = ended.metrics()
    shutil.rmtree(run / "checkpoints/step-00000008")
    again = launch(run, [*words, "steps=8"], config, 2)
    assert again.code == 0, again.messages
    assert again.metrics() == losses


def test_some_samples_may_be_read_again_and_rewinds_come_to_an_end(
    base: list[str], tmp_path: Path
) -> None:
    words = [*base, "steps=12", "checkpoint_interval=4", "bad_steps.spike=rewind"]
    words += ["bad_steps.pass_over=16", "bad_steps.rewinds=2"]
    wrong = partial(spike, range(96, 136))
    ended = launch(tmp_path / "run", words, deepspeed(1), 2, prepare=wrong)
    assert ended.code == 1
    assert [(line["first_sample"], line["samples"]) for line in skipped(ended)] == [
        (96, 16),
        (112, 16),
    ]
    assert "of step 7 is a spike" in ended.messages
    assert "after 2 rewinds (bad_steps.rewinds); the checkpoint of step 4" in ended.messages
