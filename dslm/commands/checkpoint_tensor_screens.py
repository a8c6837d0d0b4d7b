"""What ``checkpoint show`` and ``diff`` print: tensors, and what is beside them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dslm.commands.checkpoint_screens import NONE, age, layout_words
from dslm.commands.columns import columns
from dslm.progress import counted, human
from dslm.run.checkpoint_diff import Change, Other
from dslm.run.checkpoint_tensors import Summary, is_moment
from dslm.run.folder import flat

SHOWN = 20
"""Changed tensors in a table, unless all are asked for."""
KINDS = {"weights": False, "optimizer state": True}
"""What tensors are, and whether they are moments."""


@dataclass(frozen=True)
class Facts:
    """What a checkpoint says of itself."""

    run: Path
    step: int
    path: Path
    format: int
    bytes: int
    written: str
    layout: Mapping[str, Any]
    versions: Mapping[str, Any]
    state: Mapping[str, Any]


def show_screen(facts: Facts, tensors: Sequence[Summary]) -> Iterator[str]:
    """What is in a checkpoint.

    Args:
        facts: of the checkpoint.
        tensors: the selected ones.
    """
    written = f"written {facts.written} ({age(facts.written)} ago)"
    state = {name: value for name, value in facts.state.items() if name not in ("format", "step")}
    lines = {
        "step": f"{facts.step:,} of {facts.run}",
        "folder": f"{facts.path}: format {facts.format}, {human(facts.bytes)}B, {written}",
        "layout": layout_words(facts.layout),
        "versions": ", ".join(f"{name} {value}" for name, value in facts.versions.items()),
        "state": " · ".join(f"{name} {_value(value)}" for name, value in flat(state).items()),
    }
    yield from (f"{name:<9}{text}" for name, text in lines.items() if text)
    head = ["name", "shape", "dtype", "min", "max", "mean", "norm", "non-finite"]
    for kind, moments in KINDS.items():
        chosen = [one for one in tensors if is_moment(one.name) == moments]
        if chosen:
            count = sum(one.count for one in chosen)
            norm = math.sqrt(math.fsum(one.norm**2 for one in chosen))
            broken = sum(one.non_finite for one in chosen)
            bad = f", {broken:,} NOT FINITE" if broken else ""
            yield ""
            number = counted(len(chosen), "tensor")
            yield f"{kind}: {number}, {count:,} numbers, norm {norm:.5g}{bad}"
            rows = [_tensor_row(one) for one in chosen]
            yield from columns([head, *rows], "min max mean norm non-finite")


def _tensor_row(one: Summary) -> list[str]:
    numbers = (one.minimum, one.maximum, one.mean, one.norm)
    texts = [NONE if number is None else f"{number:.4g}" for number in numbers]
    return [one.name, shape_text(one.shape), one.dtype, *texts, f"{one.non_finite:,}"]


def show_record(facts: Facts, tensors: Sequence[Summary]) -> dict[str, Any]:
    """The same as JSON."""
    where = {"run": str(facts.run), "path": str(facts.path)}
    return {**asdict(facts), **where, "tensors": [asdict(one) for one in tensors]}


def shape_text(shape: Sequence[int] | None) -> str:
    """A shape, such as 3×4; that of a single number is 1."""
    return NONE if shape is None else "×".join(map(str, shape)) or "1"


def diff_screen(
    paths: Sequence[Path],
    changes: Sequence[Change],
    others: Sequence[Other],
    same: int,
    *,
    every: bool,
) -> Iterator[str]:
    """What is another in one checkpoint than in a second.

    Args:
        paths: of the two.
        changes: the tensors.
        others: the values beside them.
        same: how many tensors are the same.
        every: whether all tensors are shown.
    """
    yield f"from  {paths[0]}"
    yield f"to    {paths[1]}"
    yield ""
    if not changes:
        yield f"all {counted(same, 'tensor')} are the same"
    for kind, moments in KINDS.items():
        chosen = [one for one in changes if is_moment(one.name) == moments]
        if chosen:
            yield f"{kind}: {counted(len(chosen), 'tensor')} changed"
            shown = chosen if every else chosen[:SHOWN]
            rows = [[one.name, _change_text(one)] for one in shown]
            yield from columns([["name", "relative change"], *rows], "")
            if len(shown) < len(chosen):
                yield f"… and {len(chosen) - len(shown):,} more (--all)"
            yield ""
    if changes:
        yield f"{counted(same, 'tensor')} the same"
    if others:
        yield ""
        yield "values"
        for other in others:
            yield f"  {other.key}: {_value(other.before)} → {_value(other.after)}"


def _change_text(one: Change) -> str:
    if one.kind == "changed":
        return f"{one.relative:.3g}" if reason(one) is None else str(reason(one))
    if one.kind == "reshaped":
        return f"reshaped: {shape_text(one.before)} → {shape_text(one.after)}"
    return f"{one.kind}: {shape_text(one.before or one.after)}"


def reason(one: Change) -> str | None:
    """Why a changed tensor has no relative change that is a number."""
    if one.relative is None or math.isfinite(one.relative):
        return None
    return "not finite" if math.isnan(one.relative) else "was zero"


def _value(value: Any) -> str:
    """A setting as JSON has it, but text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def diff_record(
    paths: Sequence[Path], changes: Sequence[Change], others: Sequence[Other], same: int
) -> dict[str, Any]:
    """The same as JSON, where what is no finite number is null, with the reason."""
    tensors = [
        {**asdict(one), **({"relative": None, "reason": why} if (why := reason(one)) else {})}
        for one in changes
    ]
    return {
        "from": str(paths[0]),
        "to": str(paths[1]),
        "same": same,
        "tensors": tensors,
        "values": [asdict(one) for one in others],
    }
