"""What DeepSpeed's JSON may say of the types of weights, sums, masters and moments."""

from __future__ import annotations

from collections.abc import Iterator

from dslm.errors import Problem
from dslm.parallel.deepspeed_json.case import PARAMETERS, Case
from dslm.parallel.deepspeed_json.optimizer import OPTIMIZERS, implementation, offloaded

KINDS = ("fp16", "bf16", "torch_autocast")
"""The blocks that choose a precision each."""
MASTERS = {kind: f"{kind}.{kind}_master_weights_and_grads" for kind in ("fp16", "bf16")}
"""The key of each 16-bit type that keeps masters, and the sums of gradients, in it too."""
STATES = "bf16.bf16_optimizer_states"
SUMS = "data_types.grad_accum_dtype"


def one_precision(case: Case) -> Iterator[Problem]:
    """One precision at a time."""
    enabled = [kind for kind in KINDS if case.of(f"{kind}.enabled", False)]
    if len(enabled) > 1:
        one, other = enabled[:2]
        rule = f"{other}.enabled is true as well"
        yield Problem(f"{one}.enabled", True, rule, "keep one of the two")
    elif enabled == ["torch_autocast"] and "dtype" not in case.config["torch_autocast"]:
        rule = "is required: torch takes another one on a GPU than on a CPU"
        yield Problem("torch_autocast.dtype", None, rule, 'write "bfloat16"')


def types(case: Case) -> Iterator[Problem]:
    """The type of the weights, and sums that the ZeRO stage can keep."""
    if all(case.of(f"{kind}.enabled", False) for kind in ("fp16", "bf16")):
        return
    weights, sums = case.of("data_types.param_dtype"), case.of(SUMS)
    if weights not in (None, case.precision):
        rule = f"the weights are {case.precision} by the fp16 and bf16 blocks"
        yield Problem("data_types.param_dtype", weights, rule, f'write "{case.precision}"')
    if sums not in (None, "fp32") and case.precision == "fp32" and case.below(1):
        rule = "without ZeRO, gradients are summed in the type of the weights, fp32"
        yield Problem(SUMS, sums, rule, "set zero_optimization.stage to 1")


def masters(case: Case) -> Iterator[Problem]:
    """Masters at 16 bits: at which layouts DeepSpeed keeps them, and for which optimizers."""
    away = offloaded(case.config, "offload_optimizer") != "none"
    used = implementation(case.config)
    on_host = away and used is not None and used.name == "DeepSpeedCPUAdam"
    for kind, key in MASTERS.items():
        if not case.of(key, False):
            continue
        states = kind == "bf16" and case.of(STATES, False)
        if case.below(1):
            yield Problem(key, True, "needs ZeRO", "set zero_optimization.stage to 1, 2 or 3")
        elif case.precision != kind:
            yield Problem(key, True, f"needs {kind}.enabled", "set it to true, or delete this")
        elif not on_host and (away or not states):
            rule = "needs DeepSpeed's own Adam on the CPU"
            fix = "offload the optimizer to the CPU, without torch_adam"
            if kind == "bf16" and not away:
                rule, fix = f"needs {STATES} too", f"set {STATES} to true"
            yield Problem(key, True, rule, fix)
        elif kind == "bf16" and case.of(SUMS) == "fp32" and case.stage == 1 and not away:
            rule = f"is ignored by DeepSpeed at ZeRO stage 1 because of {SUMS} = fp32"
            yield Problem(key, True, rule, "delete that, or set zero_optimization.stage to 2")
        elif case.optimizer == "Muon":
            rule = "is not for Muon, whose momentum DeepSpeed keeps in float32"
            yield Problem(key, True, rule, "use AdamW")


def moments(case: Case) -> Iterator[Problem]:
    """Moments at 16 bits."""
    if case.of(STATES, False) and not case.of(MASTERS["bf16"], False):
        yield Problem(STATES, True, f"needs {MASTERS['bf16']}", "set it to true as well")
    name, used = "fp32_optimizer_states", implementation(case.config)
    asked = case.parameters.get(name) is False and used is not None and name in used.parameters
    if asked and not any(case.of(key, False) for key in MASTERS.values()):
        rule = "has no effect: the moments are of the type of the masters, float32"
        yield Problem(f"{PARAMETERS}.{name}", False, rule, "delete it")


def whole_sums(case: Case) -> Iterator[Problem]:
    """Where DeepSpeed without ZeRO would give other losses than with it."""
    if not case.below(1) or (case.optimizer and not OPTIMIZERS[case.optimizer].elementwise):
        return
    where, fix = "zero_optimization.stage", "set it to 1: the same layout on one rank, less memory"
    stage = case.of(where)  # none where the file does not say it
    if case.pipeline_stages > 1:
        rule = "clips a pipeline by a wrong norm where a weight is tied"
        yield Problem(where, stage, rule, fix)
    elif case.precision != "fp32":
        rule = f"sums {case.precision} gradients without float32 and makes one step too many"
        yield Problem(where, stage, rule, fix)


PRECISION_RULES = (one_precision, types, masters, moments, whole_sums)
