"""DeepSpeed's JSON, checked as a whole before anything expensive is imported.

`check` compares every key at every depth with the schema (unknown, misspelt, misplaced, removed, of
the wrong type or out of range), then looks for keys that contradict each other; `compiled_ops`
lists what the first start would compile. DeepSpeed itself ignores a misspelt top-level key, and
reports most other mistakes one at a time, late, once a rank.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from dslm.errors import Problem, suggest
from dslm.parallel.deepspeed_json.automatic import BY_HAND, SWITCHES
from dslm.parallel.deepspeed_json.case import PARAMETERS, Case
from dslm.parallel.deepspeed_json.draft import Draft
from dslm.parallel.deepspeed_json.optimizer import (
    REMOVED,
    allowed_parameters,
    implementation,
    offloaded,
)
from dslm.parallel.deepspeed_json.refused import REFUSED
from dslm.parallel.deepspeed_json.rules import QUANTIZED, contradictions
from dslm.parallel.deepspeed_json.scheduler import schedule_words
from dslm.parallel.deepspeed_json.schema import KNOWN, OPTIMIZER, Block, given
from dslm.parallel.deepspeed_json.value import accepts, likely_fix, options, words

CPU_OPS = ("fused_adam", "cpu_adam", "cpu_adagrad", "async_io")
"""The ops that can be compiled on a machine without an accelerator."""
MISPLACED = "is in the wrong place"
"""The rule that a key breaks which another block has."""


def check(
    config: Mapping[str, Any], *, pipeline_stages: int, cpu: bool, tensor_parallel: int = 1
) -> list[Problem]:
    """All mistakes in a DeepSpeed JSON, at any depth.

    Whether ``train_batch_size`` fits the number of ranks is checked later, by `make_plan`.

    Args:
        config: as read from the file.
        pipeline_stages: how many stages the layers are spread over; 1 is no pipeline.
        cpu: whether the ranks run without an accelerator.
        tensor_parallel: how many ranks hold different parts of each matrix.
    """
    known = _known(config)
    rules = contradictions(Case(config, pipeline_stages, cpu, tensor_parallel))
    return [_explained(problem, config) for problem in (*_walk(config, known, known, ""), *rules)]


def _explained(problem: Problem, config: Mapping[str, Any]) -> Problem:
    """A problem with what the rest of the file says about it."""
    kind = given(config, "optimizer.type", "") or ""
    if problem.where.startswith(f"{PARAMETERS}.") and kind.lower() in REMOVED:
        return replace(problem, rule=f"is for {kind}, which was removed", fix="delete it")
    if problem.where == "scheduler" and (settings := schedule_words(config)):
        return replace(problem, fix=f"delete it and write {settings}")
    return problem


def is_older(config: Mapping[str, Any]) -> bool:
    """Whether a file is one of another trainer or of an older DeepSpeed, which migrate rewrites.

    Args:
        config: as read from the file.
    """
    kind = given(config, "optimizer.type", "") or ""
    found = Draft(config)
    every = found.paths()
    is_left = any(path in REFUSED or found.of(path) == "auto" for path in every)
    return is_left or kind.lower() in REMOVED


def _walk(found: Mapping[str, Any], block: Block, known: Block, prefix: str) -> Iterator[Problem]:
    """The mistakes of one block and of the blocks in it, each key against its kind."""
    for name, value in found.items():
        where, kind = prefix + name, block.get(name)
        if kind is None:
            yield _unknown(where, value, block, known)
        elif not isinstance(kind, dict):
            yield from _value(where, value, kind)
        elif isinstance(value, Mapping):
            yield from _walk(value, kind, known, f"{where}.")
        else:
            yield Problem(where, value, "must be a block of keys", _block(name, value, kind))


def _block(name: str, value: Any, block: Block) -> str:
    """The fix for a value in place of a block: its first key, which says most, has it then."""
    first = next(iter(block), None)
    kind = block[first] if first else None
    value = int(value) if value is True and first == "stage" else value
    fits = kind is not None and not isinstance(kind, dict) and accepts(kind, value)
    return f'write "{name}": {json.dumps({first: value}) if fits else "{…}"}'


def _value(where: str, value: Any, kind: TypeAdapter[Any]) -> Iterator[Problem]:
    if accepts(kind, value):
        return
    if value == "auto":
        rule = "only Hugging Face's transformers and accelerate fill it in"
        fix = "delete it: DeepSpeed has a default"
        if where in BY_HAND:
            fix = f"write the value itself: {words(kind)}, {BY_HAND[where]} of TrainingArguments"
        elif where in SWITCHES:
            fix = f"write true or false; or leave it and type precision={SWITCHES[where]}"
        yield Problem(where, value, rule, fix)
    else:
        fix = suggest(value, options(kind), "delete it" if value is None else "")
        yield Problem(where, value, f"must be {words(kind)}", likely_fix(kind, value) or fix)


def _unknown(where: str, value: Any, block: Block, known: Block) -> Problem:
    """A key that its block does not have: refused, misplaced, misspelt or of no use."""
    found = None if isinstance(value, Mapping) else value
    name = _leaf(where)
    refusals = {_leaf(path): refusal for path, refusal in REFUSED.items()}
    refusal = REFUSED.get(where) or refusals.get(name)
    if refusal:
        return Problem(where, found, refusal.rule, refusal.fix)
    homes = [path.rpartition(".")[0] for path in _paths(known, "") if _leaf(path) == name]
    if 0 < len(homes) < 3:
        fix = " or ".join(f"in {home}" if home else "at the top level" for home in homes)
        return Problem(where, found, MISPLACED, f"it belongs {fix}")
    rule = "is not a key of DeepSpeed"
    if where.startswith(f"{PARAMETERS}.") and name in allowed_parameters({}):
        rule = "is a parameter of other optimizers"
    return Problem(where, found, rule, suggest(name, block, "delete it"))


def _leaf(path: str) -> str:
    return path.rpartition(".")[2]


def paths() -> list[str]:
    """Every key that a file may have, by its path; parameters are those of all optimizers."""
    return [*_paths(_known({}), "")]


def kind_of(path: str) -> TypeAdapter[Any] | None:
    """What the key of a path may hold; `None` for a block of keys.

    Args:
        path: one of `paths`.
    """
    kind: Any = _known({})
    for name in path.split("."):
        kind = kind[name]
    return None if isinstance(kind, dict) else kind


def _known(config: Mapping[str, Any]) -> Block:
    """What a file may hold, the parameters of its optimizer included."""
    return {**KNOWN, "optimizer": {**OPTIMIZER, "params": allowed_parameters(config)}}


def _paths(block: Block, prefix: str) -> Iterator[str]:
    for name, kind in block.items():
        yield prefix + name
        if isinstance(kind, dict):
            yield from _paths(kind, f"{prefix}{name}.")


def compiled_ops(config: Mapping[str, Any], *, cpu: bool) -> list[str]:
    """The DeepSpeed ops that this file makes every fresh machine compile, some minutes each.

    Args:
        config: as read from the file.
        cpu: whether the ranks run without an accelerator, for which fewer ops exist.
    """
    used = implementation(config)
    nvme = "nvme" in (offloaded(config, what) for what in ("offload_optimizer", "offload_param"))
    ops = {
        used.op if used else "": True,
        "async_io": nvme,
        "gds": nvme and given(config, "aio.use_gds", False),
        "quantizer": any(given(config, key, False) for key in QUANTIZED),
    }
    return [op for op, needed in ops.items() if op and needed and (op in CPU_OPS or not cpu)]
