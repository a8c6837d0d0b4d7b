"""Float16's loss scale, against DeepSpeed's own word on when it is exhausted."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from dslm.parallel.loss_scale import LossScale, Step

SETTINGS = [
    {"init_scale": scale, "min_scale": 1, "delayed_shift": shift, "consecutive_hysteresis": again}
    for scale, shift, again in product((1, 2, 8), (1, 2, 3), (False, True))
]


@pytest.fixture
def scaler_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes DeepSpeed's scaler, which asks for its rank only to print."""
    from deepspeed.runtime.fp16 import loss_scaler

    monkeypatch.setattr(loss_scaler.dist, "get_rank", lambda: 1)
    return loss_scaler.DynamicLossScaler


def engine(scaler: Any, *, fp16: bool = True) -> Any:
    optimizer = SimpleNamespace(loss_scaler=scaler, overflow=False)
    return SimpleNamespace(
        optimizer=optimizer, torch_autocast_z0_gradscaler=None, fp16_enabled=lambda: fp16
    )


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_scale_is_exhausted_where_deepspeed_would_give_up(
    settings: dict[str, Any], scaler_of: Any
) -> None:
    for overflows in product((False, True), repeat=8):
        theirs, ours = scaler_of(**settings, scale_window=2), scaler_of(**settings, scale_window=2)
        made = engine(ours)
        scale = LossScale(made)
        for overflow in overflows:
            made.optimizer.overflow = overflow
            ours.update_scale(overflow)
            outcome = scale.after_step()
            try:
                theirs.update_scale(overflow)
            except Exception:
                assert outcome is Step.EXHAUSTED
                break
            assert outcome is (Step.SKIPPED if overflow else Step.MADE)
            assert ours.cur_scale == theirs.cur_scale


def test_a_fixed_scale_is_exhausted_by_its_first_overflow() -> None:
    from deepspeed.runtime.fp16.loss_scaler import LossScaler

    made = engine(LossScaler(128))
    scale = LossScale(made)
    assert scale.after_step() is Step.MADE
    made.optimizer.overflow = True
    assert scale.after_step() is Step.EXHAUSTED


def test_what_deepspeed_calls_an_overflow_without_float16_is_none_of_the_scale() -> None:
    from deepspeed.runtime.fp16.loss_scaler import LossScaler

    made = engine(LossScaler(1.0), fp16=False)
    made.optimizer.overflow = True
    scale = LossScale(made)
    assert not scale.used
    assert scale.after_step() is Step.MADE


def test_torchs_scale_falls_to_one_and_no_further() -> None:
    import torch

    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    made = engine(None, fp16=False)
    made.torch_autocast_z0_gradscaler = scaler
    weight = torch.ones(1, requires_grad=True)
    optimizer, scale = torch.optim.SGD([weight], lr=0.1), LossScale(made)
    outcomes = []
    for factor in (1.0, float("inf"), float("inf"), 1.0, float("inf")):
        optimizer.zero_grad()
        scaler.scale(weight.sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
        outcomes.append(scale.after_step())
    assert outcomes == [Step.MADE, Step.SKIPPED, Step.SKIPPED, Step.MADE, Step.EXHAUSTED]
