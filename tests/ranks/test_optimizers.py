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
