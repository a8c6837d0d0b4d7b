"""Evaluations and samples of a run, as the page shows them: each with what it is of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dslm.report.recipe import date
from dslm.report.record import Record

KNOWN = ("loss", "perplexity", "bits_per_byte")
"""Figures that most evaluations have, and their order."""
BESIDE = ("step", "scheme", "group_size", "calibrate", "data", "fingerprint", "time", "tokens")
"""What is no figure."""
SAMPLES = 8
"""How many prompts are shown, the newest."""
STEPS = 6
"""How many texts of one prompt are shown, each of another step."""
ANSWER = ("step", "time", "text")
"""In what the texts of one prompt differ."""
DRAWN: dict[str, float | None] = {
    **dict.fromkeys(("temperature", "top_k", "top_p", "seed")),
    **{"sample": 0, "repetition_penalty": 1, "beams": 1, "length_penalty": 1},
}
"""What is said of how a text was written, unless it is as usual."""


def evaluations(record: Record) -> list[Sequence[str]]:
    """A table, its head first; empty where nothing was evaluated."""
    found = record.evaluations
    logged = {key for one in found for key, value in one.items() if isinstance(value, float)}
    columns = [key for key in KNOWN if key in logged]
    columns += sorted(logged - set(KNOWN) - set(BESIDE))
    head = ["data", "step", "rounded", *(key.replace("_", " ") for key in columns), "tokens"]
    rows = [
        [
            str(one.get("data", "")),
            f"{one['step']:,}" if "step" in one else "",
            rounded(one),
            *(f"{one[key]:.4f}" if key in one else "" for key in columns),
            f"{one['tokens']:,}" if "tokens" in one else "",
        ]
        for one in found
    ]
    return [head, *rows] if rows else []


def samples(record: Record) -> list[tuple[str, str]]:
    """The texts that the model wrote, each with what it was asked.

    Those of one prompt stand together, step by step, so that one sees how it has learned to write;
    what was asked last comes first.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in record.samples:
        question = json.dumps({key: one[key] for key in sorted(one.keys() - set(ANSWER))})
        groups[question] = [*groups.pop(question, []), one]
    shown = [_spread(group) for group in [*groups.values()][: -SAMPLES - 1 : -1]]
    return [(_asked(one), one["text"]) for group in shown for one in group]


def _spread(group: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The texts of a prompt by step; of many the first, the last, and some between."""
    ordered = sorted(group, key=lambda one: int(one.get("step", 0)))
    last = min(len(ordered), STEPS) - 1
    return [ordered[round(place * (len(ordered) - 1) / max(last, 1))] for place in range(last + 1)]


def rounded(result: Mapping[str, Any]) -> str:
    """To what the weights were rounded, such as ``w4, groups of 32``."""
    if result.get("scheme") in (None, "none"):
        return ""
    size, text = result.get("group_size"), result.get("calibrate")
    groups = [f"groups of {size}"] if size else []
    return ", ".join([str(result["scheme"]), *groups, *([f"calibrated on {text}"] if text else [])])


def _asked(sample: Mapping[str, Any]) -> str:
    if "prompt" not in sample:
        return ""
    drawn = [
        f"{name.replace('_', ' ')} {sample[name]}"
        for name, usual in DRAWN.items()
        if sample.get(name) not in (None, usual)
    ]
    prompt = f"“{sample['prompt']}”" if sample["prompt"] else "the beginning of a document"
    words = [f"step {sample['step']:,}", rounded(sample), *drawn, date(sample.get("time"))]
    return " · ".join([f"from {prompt}", *(word for word in words if word)])
