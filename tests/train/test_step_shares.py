from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dslm.train.step_shares import SHARES, step_shares


def event(
    name: str, parent: Any = None, own: float = 0.0, kernels: float = 0.0, **more: Any
) -> Any:
    """An event of a profile: its own microseconds on the host, and those of its kernels."""
    found = {
        "name": name,
        "cpu_parent": parent,
        "self_cpu_time_total": own,
        "cpu_time_total": own,
        "self_device_time_total": kernels,
        "device_type": "DeviceType.CPU",
        "thread": 1,
        "time_range": SimpleNamespace(start=0, end=100),
        **more,
    }
    return SimpleNamespace(**found)


def profiled() -> list[Any]:
    """A step of 100 µs."""
    step = event("step", cpu_time_total=100.0)
    data, loss = event("data", step, own=2), event("loss", step, own=1)
    attention = event("aten::scaled_dot_product_attention", step, own=1)
    optimizer = event("Optimizer.step#AdamW.step", step, own=3)
    return [
        *(step, data, loss, attention, optimizer),
        event("aten::mm", step, own=10, kernels=30),
        event("aten::mm", loss, own=4, kernels=6),
        event("aten::mm", attention, own=5, kernels=20),
        event("aten::add", step, own=7, kernels=8),
        event("aten::_fused_adamw_", optimizer, own=6, kernels=9),
        event("aten::mm", None, own=50, kernels=50),  # before the step
        event("aten::mm", step, own=50, thread=2),  # of a thread that reads
        event("gloo:all_reduce", None, thread=3, cpu_time_total=20.0),
        event("void gemm", None, kernels=30, device_type="DeviceType.CUDA"),  # told once more
    ]


@pytest.mark.parametrize(
    ("device", "percent"),
    [
        ("cpu", [6, 10, 5, 9, 20, 2, 7, 41]),
        ("cuda:0", [20, 30, 6, 9, 0, 0, 8, 27]),
    ],
)
def test_what_is_outside_says_what_an_operation_is_for(device: str, percent: list[int]) -> None:
    shares = step_shares(profiled(), device)
    assert [round(100 * shares[name], 6) for name in SHARES] == percent


def test_no_steps_have_no_shares() -> None:
    assert set(step_shares([], "cpu").values()) == {0.0}
