"""Evaluations and samples of a run, as the page shows them: each with what it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dslm.report.recipe import date
from dslm.report.record import Record

KNOWN = ("loss", "perplexity", "bits_per_byte")
"""Figures that most evaluations have, and their order."""
BESIDE = ("step", "scheme", "group_size", "calibrate", "data", "fingerprint", "time", "tokens")
"""What is no figure."""
SAMPLES = 8
"""How many of the newest are shown."""


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
    """The newest texts that the model wrote, each with what it was asked."""
    return [(_asked(one), one["text"]) for one in reversed(record.samples[-SAMPLES:])]


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
        for name in ("temperature", "top_k", "top_p", "seed")
        if sample.get(name) is not None
    ]
    prompt = f"“{sample['prompt']}”" if sample["prompt"] else "the beginning of a document"
    words = [f"step {sample['step']:,}", rounded(sample), *drawn, date(sample.get("time"))]
    return " · ".join([f"from {prompt}", *(word for word in words if word)])
