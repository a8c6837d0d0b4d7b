"""A run that diverges ends at its first bad step if none may be left out, at every layout."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.faults import inject, on_float16
from helpers.launching import Ended, launch

from dslm.run.learning import LOWER

pytestmark = pytest.mark.ranks

BF16 = {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
FP16 = {"fp16": {"enabled": True, "initial_scale_power": 8, "hysteresis": 1}}
HUGE = {"type": "AdamW", "params": {"lr": 1e20, "torch_adam": True}}
LAYOUTS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "ZeRO-0": (0, 1, {}),
    "ZeRO-1": (1, 1, {}),
    "ZeRO-1, bf16": (1, 1, BF16),
    "ZeRO-2": (2, 1, {}),
    "ZeRO-2, bf16": (2, 1, BF16),
    "ZeRO-3": (3, 1, {}),
    "ZeRO-3, bf16": (3, 1, BF16),
    "pipeline": (1, 2, {}),
    "pipeline, bf16": (1, 2, BF16),
}
"""ZeRO stage, pipeline stages, and more of DeepSpeed's JSON."""
UNUSUAL: dict[str, tuple[int, int, dict[str, Any]]] = {
    "ZeRO-0, not clipped": (0, 1, {"gradient_clipping": 0.0}),
    "ZeRO-2, bf16 that DeepSpeed does not check": (
        2,
        1,
        {**BF16, "bf16": {"enabled": True, "check_grad_overflow": False}},
    ),
}
"""DeepSpeed takes every step there."""


@pytest.fixture(scope="module")
def base(words: list[str]) -> list[str]:
    more = ["keep=1", "log_interval=4", "schedule.kind=constant", "schedule.warmup_steps=0"]
    more.append("bad_steps.skip=0")
    return [*words, *more]


@pytest.fixture(scope="module")
def longer(base: list[str]) -> list[str]:
    return [*base, "steps=12", "checkpoint_interval=3"]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory, base: list[str]) -> Ended:
    """Six good steps, with a checkpoint of the last."""
    folder = tmp_path_factory.mktemp("healthy") / "run"
    ended = launch(folder, [*base, "steps=6"], deepspeed(), 1)
    assert ended.code == 0, ended.messages
    return ended


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in (folder / "checkpoints").rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def check(ended: Ended, healthy: Ended, message: str) -> None:
    """It ended with this message, once; the good checkpoint is there as it was, and no other."""
    assert ended.code == 1, ended.messages
    assert ended.messages.count("error: ") == 1
    assert message in ended.messages
    assert "the checkpoint of step 6 is kept" in ended.messages
    assert contents(ended.folder) == contents(healthy.folder)
    record = json.loads((ended.folder / "run.json").read_text())
    assert record["status"] == "failed"
    assert message in record["ended"]
    assert (ended.folder / "report.html").is_file()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_rate_that_is_too_high_is_noticed_at_the_first_bad_step(
    layout: str, healthy: Ended, longer: list[str], tmp_path: Path
) -> None:
    """The step with that rate makes huge weights of good ones; the loss of the next is not one."""
    stage, stages, more = LAYOUTS[layout]
    shutil.copytree(healthy.folder, tmp_path / "run")
    config = deepspeed(stage, **{**more, "optimizer": HUGE})
    words = [*longer, f"pipeline_stages={stages}"]
    ended = launch(tmp_path / "run", words, config, 2)
    check(ended, healthy, "the loss is nan at step 8: the run has diverged")
    last = json.loads((ended.folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert last == {"step": 8, "tokens": 8 * 256, "loss": None}


LOSS, HUGE_LOSS = "the loss is nan", "the loss is infinite, its gradient is not"
GRADIENT, OVERFLOW = "the gradient is nan, the loss is not", "the gradient is huge, the loss is not"
FAULTY = {
    "ZeRO-0": (LOSS, 1, "the loss is nan at step 8 on rank 1"),
    "ZeRO-0, not clipped": (GRADIENT, 1, "the gradient's norm is not finite at step 8"),
    "ZeRO-2, bf16 that DeepSpeed does not check": (
        GRADIENT,
        1,
        "the gradient's norm is not finite at step 8",
    ),
    "ZeRO-3, bf16": (HUGE_LOSS, 0, "the loss is inf at step 8 on rank 0"),
    "pipeline, bf16": (LOSS, 1, "the loss is nan at step 8"),
}
"""Layout: what goes wrong, on which rank, and the message."""


@pytest.mark.parametrize("layout", FAULTY)
def test_what_goes_wrong_on_one_rank_ends_all(
    layout: str, healthy: Ended, longer: list[str], tmp_path: Path
) -> None:
    stage, stages, more = {**LAYOUTS, **UNUSUAL}[layout]
    fault, rank, message = FAULTY[layout]
    shutil.copytree(healthy.folder, tmp_path / "run")
    words = [*longer, f"pipeline_stages={stages}"]
    wrong = partial(inject, fault, range(8, 9), rank)
    ended = launch(tmp_path / "run", words, deepspeed(stage, **more), 2, prepare=wrong)
    check(ended, healthy, message)


@pytest.mark.parametrize(
    ("layout", "often", "message"),
    [
        ("ZeRO-0", "checkpoint_interval", "the loss with the new weights is not finite at step 7"),
        ("ZeRO-3", "checkpoint_interval", "the loss with the new weights is not finite at step 7"),
        ("pipeline, bf16", "evaluation_interval", "the validation loss is nan at step 7"),
    ],
)
def test_weights_with_which_the_loss_is_lost_are_not_saved(
    layout: str,
    often: str,
    message: str,
    healthy: Ended,
    base: list[str],
    shards: Path,
    tmp_path: Path,
) -> None:
    stage, stages, more = LAYOUTS[layout]
    shutil.copytree(healthy.folder, tmp_path / "run")
    config = deepspeed(stage, **{**more, "optimizer": HUGE})
    words = [word for word in base if not word.startswith("evaluation_interval")]
    words += [f"{often}=1", f"data.validation={shards}", f"pipeline_stages={stages}", "steps=12"]
    ended = launch(tmp_path / "run", words, config, 2)
    check(ended, healthy, message)


def test_a_first_loss_is_blamed_on_the_weights_and_not_on_the_rate(
    base: list[str], tmp_path: Path
) -> None:
    words = [*base, "steps=2", "model.initialization=1e38"]
    ended = launch(tmp_path / "run", words, deepspeed(), 1)
    assert ended.code == 1
    assert "the loss is nan at step 1, which is made with the weights that" in ended.messages
    assert "look at what gives them, model.initialization = 1e+38\n" in ended.messages


def test_a_loss_that_rises_is_said_to_diverge_while_the_run_trains(
    base: list[str], tmp_path: Path
) -> None:
    config = deepspeed(optimizer={"type": "AdamW", "params": {"lr": 1.0, "torch_adam": True}})
    ended = launch(tmp_path / "run", [*base, "steps=12"], config, 1)
    assert ended.code == 0, ended.messages
    assert re.search(r"warning: after 12 steps the loss \S+ is far above ln", ended.messages)
    assert f": {LOWER}\n" in ended.messages


@pytest.mark.parametrize(("stage", "stages"), [(1, 1), (2, 1), (3, 1), (1, 2)])
def test_float16_skips_a_step_and_goes_on(
    stage: int, stages: int, longer: list[str], tmp_path: Path
) -> None:
    words = [*longer, f"pipeline_stages={stages}"]
    wrong = partial(on_float16, OVERFLOW, range(5, 7), 1)
    ended = launch(tmp_path / "run", words, deepspeed(stage, **FP16), 2, prepare=wrong)
    assert ended.code == 0, ended.messages
    assert ended.metrics("skipped_steps") == [0, 2, 2]
    assert "2 steps skipped" in ended.messages
    assert "2 were left out by float16's loss scale" in ended.results


SCALED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "no lower scale": (
        "ZeRO-2",
        OVERFLOW,
        {**FP16["fp16"], "min_loss_scale": 64},
        "the gradient overflows float16 at step 10, and the loss scale is as low as",
    ),
    "a fixed scale": (
        "ZeRO-3",
        OVERFLOW,
        {"enabled": True, "loss_scale": 64},
        "the gradient overflows float16 at step 8, and the loss scale is fixed",
    ),
    "no scale helps": ("pipeline", LOSS, FP16["fp16"], "the loss is nan at step 8"),
}
"""Where what goes wrong from step 8 on, DeepSpeed's fp16, and the message."""


@pytest.mark.parametrize("how", SCALED)
def test_float16_ends_where_no_lower_scale_helps(
    how: str, healthy: Ended, longer: list[str], tmp_path: Path
) -> None:
    layout, fault, fp16, message = SCALED[how]
    stage, stages, _ = LAYOUTS[layout]
    shutil.copytree(healthy.folder, tmp_path / "run")
    words = [word for word in longer if not word.startswith("checkpoint_interval")]
    words += [f"pipeline_stages={stages}"]
    wrong = partial(on_float16, fault, range(8, 13), 1)
    ended = launch(tmp_path / "run", words, deepspeed(stage, fp16=fp16), 2, prepare=wrong)
    check(ended, healthy, message)


def test_autocast_to_float16_skips_and_goes_on(longer: list[str], tmp_path: Path) -> None:
    """Torch keeps the scale there: it begins at 65,536, and each skip halves it."""
    config = deepspeed(torch_autocast={"enabled": True, "dtype": "float16"})
    wrong = partial(inject, "the gradient is infinite, the loss is not", range(5, 7), 0)
    ended = launch(tmp_path / "run", longer, config, 1, prepare=wrong)
    assert ended.code == 0, ended.messages
    assert ended.metrics("skipped_steps") == [0, 2, 2]
