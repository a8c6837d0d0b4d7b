"""DeepSpeed's JSON of older versions, of transformers and of accelerate, made fit for a run.

Each step of `STEPS` looks at the whole file, changes what it knows and notes why; `check` then says
what is left. The steps go from the form of the file over its values to what contradicts itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslm.errors import Problem
from dslm.parallel.deepspeed_json.automatic import fill_in
from dslm.parallel.deepspeed_json.check import check
from dslm.parallel.deepspeed_json.draft import ABSENT, Draft
from dslm.parallel.deepspeed_json.optimizer import (
    OPTIMIZERS,
    REMOVED,
    allowed_parameters,
    named,
    offloaded,
)
from dslm.parallel.deepspeed_json.refused import REFUSED
from dslm.parallel.deepspeed_json.scheduler import move_schedule
from dslm.parallel.deepspeed_json.schema import given

ZERO, TYPE, PARAMETERS = "zero_optimization", "optimizer.type", "optimizer.params"
OLD_NAMES = {
    "train_step_batch_size": "train_micro_batch_size_per_gpu",
    "bfloat16": "bf16",
    "allgather_size": f"{ZERO}.allgather_bucket_size",
    f"{PARAMETERS}.max_grad_norm": "gradient_clipping",
    f"{ZERO}.cpu_offload_use_pin_memory": f"{ZERO}.offload_optimizer.pin_memory",
}
"""Keys that mean the same under another name today."""
OFFLOADS = {"cpu_offload": "offload_optimizer", "cpu_offload_param": "offload_param"}
"""Flags that are blocks today."""


def migrate(config: Mapping[str, Any]) -> tuple[Draft, list[Problem]]:
    """Rewrite a file.

    Args:
        config: as it was read, with what the user gave laid over it.

    Returns:
        The new file with its changes, and what keeps it from being run: values that only a person
        knows, and what `check` finds.
    """
    draft = Draft(config)
    for step in STEPS:
        step(draft)
    stages = draft.words.get("pipeline_stages", 1)
    wanting = {problem.where for problem in draft.missing}
    wrong = check(draft.config, pipeline_stages=stages, cpu=False)
    left = [problem for problem in wrong if problem.where not in wanting]
    if wanting & set(BATCH):
        left = [problem for problem in left if problem.where not in BATCH]
    return draft, [*draft.missing, *left]


BATCH = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")


def rename(draft: Draft) -> None:
    """Old names, and old forms of blocks."""
    if isinstance(draft.of(ZERO), bool):
        stage = int(draft.remove(ZERO, "it is a block today"))
        draft.put(f"{ZERO}.stage", stage, "true meant the first stage")
    for old, new in OLD_NAMES.items():
        if draft.has(old):
            draft.move(old, new, "the name of today")
    for old, new in OFFLOADS.items():
        path, why = f"{ZERO}.{old}", f"{new} says it today"
        if draft.has(path) and draft.remove(path, why) is True:
            draft.put(f"{ZERO}.{new}.device", "cpu", f"{old} was true")
    pinned = f"{ZERO}.offload_optimizer"
    if draft.has(pinned) and not draft.has(f"{pinned}.device"):
        draft.remove(pinned, "nothing is offloaded")


def other_homes(draft: Draft) -> None:
    """What dslm owns, and what stands for it on its command line."""
    block = draft.of("activation_checkpointing")
    if isinstance(block, dict):
        draft.remove("activation_checkpointing", REFUSED["activation_checkpointing"].rule)
        draft.say("model.recompute", "true")
    stages = draft.of("pipeline.stages")
    if isinstance(stages, int) and stages > 1:
        draft.say("pipeline_stages", stages)
    if draft.of("amp.enabled") is True and not draft.has("bf16") and not draft.has("fp16"):
        draft.put("bf16.enabled", True, "amp was removed; bf16 needs no loss scale")
    batch = draft.of("elasticity.max_train_batch_size")
    if draft.of("elasticity.enabled") is True and not any(map(draft.has, BATCH)):
        draft.missing.append(
            Problem(BATCH[0], None, f"elasticity chose one of at most {batch}", "give it as a word")
        )


def refused(draft: Draft) -> None:
    """Whatever dslm refuses, with the reason that it gives."""
    leaves = {path.rpartition(".")[2]: path for path in REFUSED}
    known = REFUSED
    for path in draft.paths():
        if not draft.has(path):
            continue  # its block is gone
        refusal = known.get(path)
        leaf = path.rpartition(".")[2]
        if refusal is None and leaf in leaves and not path.startswith(("optimizer.", "scheduler.")):
            refusal = known[leaves[leaf]] if _misplaced(leaves[leaf], path) else None
        if refusal is not None:
            draft.remove(path, refusal.rule)


def _misplaced(home: str, path: str) -> bool:
    """Whether a key of a block stands at the top level or in another block."""
    return home != path and "." in home


def optimizer(draft: Draft) -> None:
    """An optimizer that exists, with parameters that it takes."""
    if draft.of(TYPE) is ABSENT:
        why = "DeepSpeed owns the optimizer; AdamW is the one of transformers"
        draft.put(TYPE, "AdamW", why)
    kind = draft.of(TYPE)
    if not isinstance(kind, str):
        return
    if wanted := REMOVED.get(kind.lower()):
        draft.put(TYPE, wanted, "optimizers that compress were removed from DeepSpeed")
    known = allowed_parameters(draft.config)
    parameters = draft.of(PARAMETERS)
    for name in list(parameters) if isinstance(parameters, dict) else ():
        if name not in known:
            draft.remove(f"{PARAMETERS}.{name}", f"{draft.of(TYPE)} has no such parameter")
    given_rate = {"lr", "muon_lr"} & set(parameters if isinstance(parameters, dict) else ())
    if not given_rate and not any(p.where == f"{PARAMETERS}.lr" for p in draft.missing):
        rule = "is missing: the peak of the learning rate"
        fix = f"give it: {PARAMETERS}.lr=3e-4, TrainingArguments.learning_rate"
        draft.missing.append(Problem(f"{PARAMETERS}.lr", None, rule, fix))


def precision(draft: Draft) -> None:
    """16 bits need ZeRO, which some optimizers do not go with."""
    for kind in ("fp16", "bf16"):
        if isinstance(draft.of(kind), bool):
            enabled = draft.remove(kind, "it is a block today")
            draft.put(f"{kind}.enabled", enabled, "it was a flag")
    name = named(draft.of(TYPE)) if isinstance(draft.of(TYPE), str) else None
    halves = [kind for kind in ("fp16", "bf16") if draft.of(f"{kind}.enabled") is True]
    whole = name is not None and not OPTIMIZERS[name].elementwise
    if whole:
        for kind in halves:
            why = f"{name} needs whole matrices, hence ZeRO-0, which sums {kind} gradients as such"
            draft.remove(kind, f"{why}; float32 it is")
        if draft.of(f"{ZERO}.stage") not in (ABSENT, 0):
            draft.put(f"{ZERO}.stage", 0, f"{name} needs whole matrices")
    elif halves and draft.of(f"{ZERO}.stage") in (ABSENT, 0):
        why = f"without ZeRO DeepSpeed sums {halves[0]} gradients without float32"
        draft.put(f"{ZERO}.stage", 1, f"{why}; on any number of ranks it costs no more memory")
    stage = draft.of(f"{ZERO}.stage")
    masters = "fp16.fp16_master_weights_and_grads"
    if draft.of(masters) is True and draft.of(f"{ZERO}.offload_optimizer.device") in (
        ABSENT,
        "none",
    ):
        draft.remove(masters, "needs the optimizer on the host")
    if name is not None and stage not in (ABSENT, 0) and not OPTIMIZERS[name].tested:
        allow = "zero_allow_untested_optimizer"
        if draft.of(allow) is not True:
            draft.put(allow, True, f"DeepSpeed refuses {name} under ZeRO without it")


def idle(draft: Draft) -> None:
    """Keys that do nothing at the ZeRO stage of the file, or contradict it."""
    stage = draft.of(f"{ZERO}.stage")
    stage = 0 if stage is ABSENT else stage
    if not isinstance(stage, int):
        return
    for path in draft.paths():
        block, _, leaf = path.rpartition(".")
        of_stage_3 = leaf.startswith("stage3_") or leaf in ("offload_param", "sub_group_size")
        if block == ZERO and stage < 3 and of_stage_3 and draft.has(path):
            draft.remove(path, f"is for ZeRO-3, and the stage is {stage}")
    if stage < 1 and draft.has(f"{ZERO}.offload_optimizer"):
        draft.remove(f"{ZERO}.offload_optimizer", "needs ZeRO")
    if draft.of(f"{ZERO}.reduce_bucket_size") == 0:
        draft.remove(f"{ZERO}.reduce_bucket_size", "a bucket holds something; DeepSpeed's size")
    if draft.of("prescale_gradients") is True and stage == 2:
        draft.remove("prescale_gradients", "ZeRO-2 divides gradients itself")
    for kind in ("fp16", "bf16"):
        if draft.of(f"{kind}.enabled") is False and len(draft.of(kind)) > 1:
            draft.remove(kind, "is not enabled")


def uncompiled(draft: Draft) -> None:
    """Adam of torch instead of a kernel that is compiled for minutes, where it does the same."""
    name = named(draft.of(TYPE)) if isinstance(draft.of(TYPE), str) else None
    parameters = draft.of(PARAMETERS)
    if name not in ("Adam", "AdamW") or not isinstance(parameters, dict):
        return
    torch = OPTIMIZERS[name].torch
    assert torch is not None
    for key, default in (("bias_correction", True), ("set_grad_none", True)):
        if parameters.get(key) == default:
            draft.remove(f"{PARAMETERS}.{key}", "is so by itself")
    fits = all(key in torch.parameters for key in parameters) and "torch_adam" not in parameters
    if fits and offloaded(draft.config, "offload_optimizer") == "none":
        draft.put(f"{PARAMETERS}.torch_adam", True, "nothing is compiled")
        if not given(draft.config, f"{PARAMETERS}.fused", False):
            draft.put(f"{PARAMETERS}.fused", True, "as fast as the kernel that is not compiled")


STEPS = (
    rename,
    fill_in,
    move_schedule,
    other_homes,
    refused,
    optimizer,
    precision,
    idle,
    uncompiled,
)
"""What is done, in order."""
