"""One word for the precision of a run, and the keys of DeepSpeed's JSON that it stands for.

The JSON stays the one place that everything else reads. The word fills in what the JSON leaves
open; what the JSON says already must be the same.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dslm.errors import Problem
from dslm.parallel.deepspeed_json.precision_rules import MASTERS, STATES
from dslm.parallel.deepspeed_json.schema import given

KEY = "precision"
"""The setting that holds the word."""

_BF16 = {"bf16.enabled": True, "data_types.grad_accum_dtype": "fp32"}

WRITTEN: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": _BF16,
    "bf16_autocast": {"torch_autocast.enabled": True, "torch_autocast.dtype": "bfloat16"},
    "fp16": {"fp16.enabled": True},
    "fp8": _BF16,
}
"""What each word writes into the JSON."""

_OFF = dict.fromkeys(("fp16.enabled", "bf16.enabled", "torch_autocast.enabled"), False)
_FLOAT32_STATE = dict.fromkeys((MASTERS["bf16"], STATES), False)

_ASSUMED: dict[str, dict[str, Any]] = {
    "fp32": {"data_types.grad_accum_dtype": "fp32"},
    "bf16": _FLOAT32_STATE,
    "bf16_autocast": {"data_types.grad_accum_dtype": "fp32"},
    "fp16": {"fp16.loss_scale": 0, MASTERS["fp16"]: False},
    "fp8": _FLOAT32_STATE,
}
"""What it takes for granted: DeepSpeed's own values of keys that the JSON may hold."""

SIZES = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes of a number of each type."""

_SHORT = {"bf16": "bfloat16", "fp16": "float16"}
"""Two ways to write the type of ``torch_autocast``."""


def with_precision(
    config: Mapping[str, Any], word: str | None
) -> tuple[dict[str, Any], list[Problem]]:
    """DeepSpeed's JSON with what a word for the precision means written into it.

    Args:
        config: as read from the file; it may hold mistakes, which are reported elsewhere.
        word: a key of `WRITTEN`, or `None` where the JSON alone decides.

    Returns:
        The JSON, unchanged where it says something else; and then what the two say.
    """
    made = copy.deepcopy(dict(config))
    if word is None:
        return made, []
    wanted = {**_OFF, **_ASSUMED[word], **WRITTEN[word]}
    different = [
        f"{path} = {_shown(found)}"
        for path, value in wanted.items()
        if (found := given(config, path, None)) is not None and not _same(path, found, value)
    ]
    if different:
        rule = f"contradicts DeepSpeed's JSON, which says {' and '.join(different)}"
        fix = f"leave {KEY} out, or delete what differs there"
        return made, [Problem(KEY, word, rule, fix)]
    for path, value in WRITTEN[word].items():
        block, _, name = path.partition(".")
        if isinstance(made.setdefault(block, {}), dict):
            made[block].setdefault(name, value)
    return made, []


def in_own_words(problem: Problem, config: Mapping[str, Any], word: str | None) -> Problem:
    """A problem of a key that the user did not write, but which a word for the precision wrote.

    Args:
        problem: found in what `with_precision` returned.
        config: as read from the file.
        word: that word, if any.
    """
    written = word is not None and problem.where in WRITTEN[word]
    if not written or given(config, problem.where, None) is not None:
        return problem
    return replace(problem, where=KEY, found=word)


def precision(config: Mapping[str, Any]) -> str:
    """The precision that a JSON asks for: fp32, bf16, bf16_autocast, fp16 or fp16_autocast."""
    for kind in ("fp16", "bf16"):
        if given(config, f"{kind}.enabled", False):
            return kind
    if not given(config, "torch_autocast.enabled", False):
        return "fp32"
    dtype = given(config, "torch_autocast.dtype", None) or "bfloat16"
    return "fp16_autocast" if _SHORT.get(dtype, dtype) == "float16" else "bf16_autocast"


def weight_size(config: Mapping[str, Any]) -> int:
    """Bytes of a weight that the forward pass reads."""
    return 2 if precision(config) in ("bf16", "fp16") else 4


def sum_size(config: Mapping[str, Any]) -> int:
    """Bytes of a number of the gradients that micro-batches add up."""
    return SIZES.get(given(config, "data_types.grad_accum_dtype", "") or "", weight_size(config))


def master_size(config: Mapping[str, Any]) -> int:
    """Bytes of the number that the optimizer updates, where ZeRO keeps one for each weight."""
    return 2 if any(given(config, key, False) for key in MASTERS.values()) else 4


def moment_size(config: Mapping[str, Any]) -> int:
    """Bytes of a number of one of the optimizer's moments."""
    whole = (given(config, "optimizer.params", {}) or {}).get("fp32_optimizer_states", True)
    halved = given(config, STATES, False) or whole is False
    return master_size(config) if halved else 4


def halves(config: Mapping[str, Any]) -> bool:
    """Whether the forward pass multiplies at 16 bits."""
    return precision(config) != "fp32"


def _same(path: str, found: Any, value: Any) -> bool:
    if path == "torch_autocast.dtype":
        found = _SHORT.get(found, found)
    return bool(found == value)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
