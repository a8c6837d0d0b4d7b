"""What the time of training steps is spent on, told from the events of torch's profiler.

The time of an operation, less that of the operations it calls, belongs to the first of its callers
that says what it is for; else to itself. On a GPU it is the time of the kernels that it starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

STEP = "step"
"""The label around a step."""
WAITING, OTHER = "waiting", "other operations"
PURPOSES: dict[str, tuple[str, ...]] = {
    "data": ("data",),
    "loss": ("loss", "_CrossEntropyBackward"),
    "optimizer": ("Optimizer.", "clip_grad_norm"),
    "communication": ("c10d::", "gloo:", "nccl:", "record_param_comms"),
    "attention": ("scaled_dot_product", "flex_attention"),
    "matrix products": ("::mm", "::addmm", "::bmm", "::baddbmm", "_scaled_mm", "::lstm", "::gru"),
}
"""What an operation is for, the outer one first, and what its name or label then holds."""
SHARES = (
    *("attention", "matrix products", "loss", "optimizer", "communication", "data"),
    *(OTHER, WAITING),
)
"""All of them, as they are shown; in the last the device has nothing to do."""


def step_shares(events: Iterable[Any], device: str) -> dict[str, float]:
    """The share of each of `SHARES` in the time of the steps, 1 in sum.

    Args:
        events: those of a profile, `torch.autograd.profiler_util.FunctionEvent`.
        device: torch's name of the one that computes.
    """
    events = list(events)
    steps = [event for event in events if event.name == STEP and _is_of_host(event)]
    main = {event.thread for event in steps}
    total = sum(event.cpu_time_total for event in steps)
    spent = dict.fromkeys(SHARES, 0.0)
    for event in events:
        if not _is_of_host(event) or not any(map(_is_step, _callers(event))):
            continue
        purpose = _purpose(event)
        if device != "cpu":
            spent[purpose] += event.self_device_time_total
        elif event.thread in main and not _is_step(event):
            spent[purpose] += event.self_cpu_time_total
    if device == "cpu":  # another thread sends, while this one waits for it
        sent = [event for event in events if event.name.startswith("gloo:")]
        spent["communication"] += sum(
            event.cpu_time_total for event in sent if _within(event, steps)
        )
    spent[WAITING] = max(0.0, total - sum(spent.values()))
    whole = sum(spent.values()) or 1.0
    return {name: spent[name] / whole for name in SHARES}


def _purpose(event: Any) -> str:
    names = [caller.name for caller in _callers(event)]
    for purpose, words in PURPOSES.items():
        if any(_says(name, words) for name in names):
            return purpose
    return OTHER


def _says(name: str, words: tuple[str, ...]) -> bool:
    """Whether a name is a label, or holds a part of a name."""
    return name in words or any(word in name for word in words if not word.isalpha())


def _callers(event: Any) -> Iterator[Any]:
    """An event and those that it lies in."""
    while event is not None:
        yield event
        event = event.cpu_parent


def _is_step(event: Any) -> bool:
    return bool(event.name == STEP)


def _within(event: Any, steps: list[Any]) -> bool:
    """Whether an event begins in a step."""
    begin = event.time_range.start
    return any(step.time_range.start <= begin <= step.time_range.end for step in steps)


def _is_of_host(event: Any) -> bool:
    """Whether an event is of the host: on a GPU the kernels are listed once more by themselves."""
    return "CPU" in str(event.device_type)
