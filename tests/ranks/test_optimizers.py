"""Every optimizer that a CPU can step: the same losses under ZeRO, and exact after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

pytestmark = pytest.mark.ranks

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "AdamW": {"lr": 1e-2, "weight_decay": 0.1, "torch_adam": True, "fused": True},
    "Adam": {"lr": 1e-2, "torch_adam": True},
    "Adagrad": {"lr": 1e-2},
    "SGD": {"lr": 0.3, "momentum": 0.9, "weight_decay": 1e-3},
    "RMSprop": {"lr": 1e-3, "weight_decay": 1e-3},
    "Muon": {"lr": 1e-2, "weight_decay": 0.1, "torch_adam": True},
}


def config(name: str, stage: int) -> dict[str, Any]:
    untested = {"zero_allow_untested_optimizer": True} if name in ("SGD", "RMSprop") else {}
    clipping = {"gradient_clipping": 0.0} if name == "Muon" else {}
    optimizer = {"type": name, "params": OPTIMIZERS[name]}
    return deepspeed(stage, optimizer=optimizer, **untested, **clipping)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_steps_alike_on_one_rank_and_under_zero_and_goes_on_exactly(
    name: str, tmp_path: Path, words: list[str]
) -> None:
    words = [*words, "schedule.kind=constant", "schedule.warmup_steps=2"]
    one = launch(tmp_path / "one", [*words, "steps=8"], config(name, 0), 1)
    half = launch(tmp_path / "two", [*words, "steps=4"], config(name, 2), 2)
    rest = launch(tmp_path / "two", [*words, "steps=8"], config(name, 2), 2)
    assert (one.code, half.code, rest.code) == (0, 0, 0), one.messages + rest.messages
    assert rest.metrics() == pytest.approx(one.metrics(), rel=1e-4)
    assert one.metrics()[-1] < one.metrics()[0]


@pytest.mark.parametrize("name", ["Lion", "Lamb"])
def test_an_optimizer_for_gpus_is_refused_on_a_cpu_with_one_sentence(
    name: str, tmp_path: Path, words: list[str]
) -> None:
    optimizer = {"type": name, "params": {"lr": 1e-3}}
    ended = launch(tmp_path / "run", words, deepspeed(optimizer=optimizer), 1)
    assert ended.code == 2
    assert ended.messages.splitlines() == [
        f"error: optimizer.type = '{name}': runs on a GPU only; write \"AdamW\""
    ]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Path:
    """A run whose only step is too small to change a weight, so that it holds the drawn ones."""
    run = tmp_path_factory.mktemp("untrained") / "run"
    still = deepspeed(optimizer={"type": "SGD", "params": {"lr": 1e-30}})
    assert launch(run, [*words, "steps=1"], still, 1).code == 0
    return run


BEGINNINGS = {
    "Adagrad": {"lr": 1e-2, "initial_accumulator_value": 0.1},
    "SGD": {"lr": 0.3, "momentum": 0.9, "dampening": 0.5},
}


@pytest.mark.parametrize(("name", "stage", "ranks"), [("Adagrad", 0, 1), ("SGD", 2, 2)])
def test_weights_from_another_run_begin_with_the_moments_of_a_first_step(
    name: str, stage: int, ranks: int, untrained: Path, tmp_path: Path, words: list[str]
) -> None:
    words = [*words, "schedule.kind=constant", "schedule.warmup_steps=0", "steps=4"]
    settings = deepspeed(
        stage,
        optimizer={"type": name, "params": BEGINNINGS[name]},
        zero_allow_untested_optimizer=True,
    )
    drawn = launch(tmp_path / "drawn", words, settings, ranks)
    given = launch(tmp_path / "given", [*words, f"init_from={untrained}"], settings, ranks)
    assert (drawn.code, given.code) == (0, 0), given.messages
    assert given.metrics() == pytest.approx(drawn.metrics(), rel=1e-6)


def test_another_optimizer_than_the_checkpoints_is_refused_or_begins_anew(
    tmp_path: Path, words: list[str]
) -> None:
    words = [*words, "schedule.kind=constant", "schedule.warmup_steps=0"]
    run = tmp_path / "run"
    assert launch(run, [*words, "steps=3"], config("AdamW", 1), 2).code == 0
    refused = launch(run, [*words, "steps=6"], config("SGD", 1), 2)
    assert refused.code == 2
    assert refused.messages.splitlines() == [
        "error: optimizer.type = 'SGD': keeps momentum_buffer, but the checkpoint of step 3 by "
        "AdamW holds exp_avg, exp_avg_sq; use the optimizer of before, or begin its moments anew "
        "with resume_optimizer=fresh"
    ]
    anew = launch(run, [*words, "steps=6", "resume_optimizer=fresh"], config("SGD", 1), 2)
    assert anew.code == 0, anew.messages
    assert "from step 3, the optimizer's moments anew" in anew.messages
    again = launch(run, [*words, "steps=9", "resume_optimizer=fresh"], config("SGD", 1), 2)
    assert again.code == 0, again.messages
    assert "anew" not in again.messages
    whole = launch(tmp_path / "whole", [*words, "steps=3"], config("AdamW", 1), 2)
    assert anew.metrics()[:3] == whole.metrics()
    assert again.metrics()[-1] < anew.metrics()[0]
