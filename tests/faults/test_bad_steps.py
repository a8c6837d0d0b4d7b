"""A step whose numbers are not finite leaves the model as it was, on all ranks, at every layout."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.faults import EMBEDDING, inject, on_float16
from helpers.launching import Ended, launch

pytestmark = pytest.mark.ranks

LOSS, INFINITE = "the loss is nan", "the loss is infinite, its gradient is not"
GRADIENT = "the gradient is nan, the loss is not"
BF16 = {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
UNCHECKED = {**BF16, "bf16": {"enabled": True, "check_grad_overflow": False}}
AUTOCAST = {"torch_autocast": {"enabled": True, "dtype": "bfloat16"}}
FP16 = {"fp16": {"enabled": True, "initial_scale_power": 8, "hysteresis": 1}}
MUON: dict[str, Any] = {
    "optimizer": {"type": "Muon", "params": {"lr": 1e-2, "weight_decay": 0.1}},
    "gradient_clipping": 0.0,
}
MUON_3 = {**MUON, "zero_optimization": {"stage": 3, "reduce_scatter": False}}
LAYOUTS: dict[str, tuple[int, int, str, dict[str, Any]]] = {
    "ZeRO-0": (0, 1, INFINITE, {}),
    "ZeRO-0, not clipped": (0, 1, GRADIENT, {"gradient_clipping": 0.0}),
    "ZeRO-0, autocast": (0, 1, LOSS, AUTOCAST),
    "ZeRO-1": (1, 1, GRADIENT, {}),
    "ZeRO-1, bf16": (1, 1, INFINITE, BF16),
    "ZeRO-1, fp16": (1, 1, INFINITE, FP16),
    "ZeRO-2": (2, 1, INFINITE, {}),
    "ZeRO-2, bf16 that DeepSpeed does not check": (2, 1, GRADIENT, UNCHECKED),
    "ZeRO-2, Muon": (2, 1, EMBEDDING, MUON),
    "ZeRO-3": (3, 1, GRADIENT, {}),
    "ZeRO-3, bf16": (3, 1, INFINITE, BF16),
    "ZeRO-3, fp16": (3, 1, LOSS, FP16),
    "ZeRO-3, Muon": (3, 1, EMBEDDING, MUON_3),
    "pipeline": (1, 2, INFINITE, {}),
    "pipeline, bf16": (1, 2, GRADIENT, BF16),
}
"""ZeRO stage, pipeline stages, what goes wrong, and more of DeepSpeed's JSON."""


@pytest.fixture(scope="module")
def often(words: list[str]) -> list[str]:
    """Eight steps, each with a checkpoint that is kept."""
    return [*words, "steps=8", "checkpoint_interval=1", "keep=9", "log_interval=1"]


def state(run: Path, step: int) -> dict[str, bytes]:
    """The weights and moments of a checkpoint."""
    folder = run / "checkpoints" / f"step-{step:08d}"
    return {file.name: file.read_bytes() for file in folder.glob("layer-*")}


def skipped(ended: Ended) -> list[tuple[int, int, int]]:
    """The steps that were left out, with the first of their samples and how many there were."""
    lines = (ended.folder / "skipped.jsonl").read_text().splitlines()
    found = map(json.loads, lines)
    return [(line["step"], line["first_sample"], line["samples"]) for line in found]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bad_steps_leave_weights_and_moments_as_they_are(
    layout: str, often: list[str], tmp_path: Path
) -> None:
    stage, stages, fault, more = LAYOUTS[layout]
    config = deepspeed(stage, **more)
    wrong = partial(on_float16 if "fp16" in layout else inject, fault, range(4, 6), 1)
    words = [*often, "bad_steps.skip=2", f"pipeline_stages={stages}"]
    # DeepSpeed compiles what Muon needs, once on a machine.
    ended = launch(tmp_path / "run", words, config, 2, timeout=600.0, prepare=wrong)
    assert ended.code == 0, ended.messages
    assert skipped(ended) == [(4, 48, 16), (5, 64, 16)]
    assert "2 bad steps, see skipped.jsonl" in ended.results
    assert ended.messages.count("the step is left out; it read samples 48–63") == 1
    before, first, second, after = (state(ended.folder, step) for step in (3, 4, 5, 6))
    assert before.keys() == first.keys()
    assert before == first == second
    assert all(before[name] != after[name] for name in before)
    read = [json.loads(line) for line in (ended.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["tokens"] for line in read] == [256 * step for step in range(1, 9)]


@pytest.mark.parametrize("layout", ["ZeRO-0", "ZeRO-3, bf16", "pipeline"])
def test_one_bad_step_too_many_in_a_row_ends_the_run(
    layout: str, often: list[str], tmp_path: Path
) -> None:
    stage, stages, fault, more = LAYOUTS[layout]
    wrong = partial(inject, fault, range(4, 8), 1)
    words = [*often, "bad_steps.skip=2", "checkpoint_interval=3", f"pipeline_stages={stages}"]
    words.remove("checkpoint_interval=1")
    ended = launch(tmp_path / "run", words, deepspeed(stage, **more), 2, prepare=wrong)
    assert ended.code == 1, ended.messages
    assert "it read samples 80–95 (dslm data trace" in ended.messages
    assert "and the 2 before it were left out too" in ended.messages
    assert [step for step, *_ in skipped(ended)] == [4, 5, 6]
    assert [entry.name for entry in (ended.folder / "checkpoints").iterdir()] == ["step-00000003"]
