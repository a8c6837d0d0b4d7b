"""Keys of DeepSpeed's JSON that are valid alone and contradict each other.

Each rule is a function of the whole file that yields what it finds; `contradictions` runs them all.
A rule looks at valid values only (`given`), so that one mistake is not reported twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from dslm.errors import Problem, suggest
from dslm.parallel.deepspeed_json.case import PARAMETERS, TYPE, Case
from dslm.parallel.deepspeed_json.optimizer import (
    OPTIMIZERS,
    OTHER_NAMES,
    REMOVED,
    implementation,
    offloaded,
)
from dslm.parallel.deepspeed_json.precision_rules import PRECISION_RULES

BATCH = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
QUANTIZED = tuple(f"zero_optimization.zero_quantized_{what}" for what in ("weights", "gradients"))


def contradictions(case: Case) -> Iterator[Problem]:
    """The keys that contradict each other or the layout, and those that are missing."""
    for rule in RULES:
        yield from rule(case)


def batch(case: Case) -> Iterator[Problem]:
    """The batch of a step or the micro-batch makes the others; the accumulation alone does not."""
    batch, micro, accumulation = BATCH
    if batch in case.config or micro in case.config:
        return
    if accumulation in case.config:
        rule, fix = "does not say how many sequences a step has", f"add {micro} or {batch}"
        yield Problem(accumulation, case.config[accumulation], rule, fix)
    else:
        rule = "is required, or the sequences that a rank computes at once"
        yield Problem(batch, None, rule, f'add "{micro}": 8, or give batch=64')


def pipeline(case: Case) -> Iterator[Problem]:
    """The pipeline engine with ZeRO above stage 1."""
    if case.pipeline_stages > 1 and case.stage is not None and case.stage > 1:
        rule = (
            f"does not go with pipeline_stages = {case.pipeline_stages}: the pipeline keeps whole "
            "gradients across micro-batches, which ZeRO would cut up after each"
        )
        fix = "set it to 1, or give pipeline_stages=1"
        yield Problem("zero_optimization.stage", case.stage, rule, fix)


def offload(case: Case) -> Iterator[Problem]:
    """What is offloaded must be partitioned by ZeRO first, and NVMe needs a folder."""
    for what, needed in (("offload_param", 3), ("offload_optimizer", 1)):
        where, device = f"zero_optimization.{what}", offloaded(case.config, what)
        if device != "none" and case.below(needed):
            rule = f"is ignored at ZeRO stage {case.stage}"
            fix = f"set zero_optimization.stage to {needed}, or delete {what}"
            yield Problem(f"{where}.device", device, rule, fix)
        if device == "nvme" and not case.of(f"{where}.nvme_path"):
            rule = "needs a folder on the NVMe disk"
            yield Problem(f"{where}.device", device, rule, f'add "nvme_path" to {what}')
    ratio = case.of("zero_optimization.offload_optimizer.ratio", 1.0)
    if ratio is not None and ratio < 1 and case.below(3):
        where = "zero_optimization.offload_optimizer.ratio"
        yield Problem(where, ratio, "is for ZeRO stage 3 only", "delete it")


def gradients(case: Case) -> Iterator[Problem]:
    """A sum over ranks would make the step grow with their number."""
    if case.of("gradient_allreduce_op") == "sum":
        rule = "the gradient would grow with the number of ranks"
        yield Problem("gradient_allreduce_op", "sum", rule, 'write "mean" or delete it')
    if case.stage != 2 or not case.of("zero_optimization.reduce_scatter", True):
        return
    rule, fix = (
        "is refused by DeepSpeed at ZeRO stage 2, which divides gradients itself",
        "delete it",
    )
    if case.of("prescale_gradients", False):
        yield Problem("prescale_gradients", True, rule, fix)
    if case.of("gradient_predivide_factor", 1.0) not in (None, 1.0):
        found = case.of("gradient_predivide_factor")
        yield Problem("gradient_predivide_factor", found, rule, fix)


def hardware(case: Case) -> Iterator[Problem]:
    """Keys that DeepSpeed supports on a GPU only."""
    super_offload = "zero_optimization.offload_optimizer.super_offload"
    for where in (super_offload, "aio.use_gds", *QUANTIZED):
        if case.cpu and case.of(where, False):
            yield Problem(where, True, "runs on a GPU only", "delete it")
    if case.cpu and case.precision == "fp16" and not case.of("bf16.enabled", False):
        rule = "runs on a GPU only: few processors compute at float16, none of them fast"
        yield Problem("fp16.enabled", True, rule, "use bf16")
    if case.cpu and case.optimizer and OPTIMIZERS[case.optimizer].gpu_only:
        yield Problem(TYPE, case.of(TYPE), "runs on a GPU only", 'write "AdamW"')


def optimizer(case: Case) -> Iterator[Problem]:
    """DeepSpeed owns the optimizer, so the file must name one that is known."""
    names = ", ".join(OPTIMIZERS)
    if "optimizer" not in case.config:
        fix = 'add "optimizer": {"type": "AdamW", "params": {"lr": 6e-4, "torch_adam": true}}'
        yield Problem("optimizer", None, "is required: DeepSpeed owns the optimizer", fix)
    elif (name := case.of(TYPE, "")) == "":
        yield Problem(TYPE, None, "is required", f"write one of {names}")
    elif name is not None and name.lower() in REMOVED:
        fix = f'write "{REMOVED[name.lower()]}"'
        yield Problem(TYPE, name, "was removed from DeepSpeed", fix)
    elif name is not None and case.optimizer is None:
        other = OTHER_NAMES.get(name.lower(), name)
        fix = suggest(other, OPTIMIZERS, 'write "AdamW"')
        yield Problem(TYPE, name, f"must be one of {names}", fix)


def learning_rate(case: Case) -> Iterator[Problem]:
    """The file holds the peak learning rate, the command line its schedule."""
    present = case.parameters.keys()
    if case.optimizer is None or "lr" in present or {"muon_lr", "adam_lr"} <= present:
        return
    fix = 'add "muon_lr" and "adam_lr"' if case.optimizer == "Muon" else 'add "lr"'
    rule = "is required: the peak of the learning rate, which schedule.… shapes"
    yield Problem(f"{PARAMETERS}.lr", None, rule, fix)


def parameters(case: Case) -> Iterator[Problem]:
    """A name means several classes, which take different parameters."""
    used = implementation(case.config)
    if used is None or case.optimizer is None:
        return
    known = OPTIMIZERS[case.optimizer]
    for key, value in case.parameters.items():
        if key in used.parameters or not any(
            key in other.parameters for other in known.implementations
        ):
            continue
        by_torch = known.torch is not None and key in known.torch.parameters
        fix = 'add "torch_adam": true' if by_torch else "delete it"
        rule = f"is no parameter of {used.name}, which this file makes DeepSpeed use"
        yield Problem(f"{PARAMETERS}.{key}", value, rule, fix)
    if case.optimizer == "AdamW" and case.parameters.get("adam_w_mode") is False:
        where, rule = f"{PARAMETERS}.adam_w_mode", "is ignored: DeepSpeed's AdamW is always AdamW"
        yield Problem(where, False, rule, 'write "type": "Adam"')
    if case.parameters.get("fused") is True and case.parameters.get("foreach") is True:
        yield Problem(f"{PARAMETERS}.foreach", True, "does not go with fused", "delete it")


def zero(case: Case) -> Iterator[Problem]:
    """ZeRO cuts weights into flat pieces, which not every optimizer can work on."""
    if case.optimizer is None or case.stage in (None, 0):
        return
    known, allow = OPTIMIZERS[case.optimizer], "zero_allow_untested_optimizer"
    if case.optimizer == "Adagrad" and case.parameters.get("weight_decay"):
        rule = "would decay biases and norms too: under ZeRO DeepSpeed makes one group of all"
        where, found = f"{PARAMETERS}.weight_decay", case.parameters["weight_decay"]
        yield Problem(where, found, rule, "delete it, or set zero_optimization.stage to 0")
    elif not known.tested and not case.of(allow, False):
        rule = "is refused under ZeRO by DeepSpeed unless allowed"
        yield Problem(TYPE, case.of(TYPE), rule, f'add "{allow}": true')


def whole_matrices(case: Case) -> Iterator[Problem]:
    """An optimizer that ZeRO is not for goes neither with what needs ZeRO."""
    if case.optimizer is None or OPTIMIZERS[case.optimizer].elementwise or case.stage is None:
        return
    needed = {
        f'delete "{case.precision}"': case.precision != "fp32",
        "give pipeline_stages=1": case.pipeline_stages > 1,
        "set zero_optimization.stage to 0": case.stage > 0,
    }
    steps = [step for step, is_needed in needed.items() if is_needed]
    if steps:
        rule = "takes the norm of whole matrices, which ZeRO cuts into pieces"
        if steps[0] != "set zero_optimization.stage to 0":
            rule += ", and 16 bits and pipelines need ZeRO"
        fix = f"{', '.join(steps[:-1])} and {steps[-1]}" if len(steps) > 1 else steps[0]
        others = ', or write "AdamW"' if len(steps) > 1 or case.stage == 0 else ""
        yield Problem(TYPE, case.of(TYPE), rule, fix + others)


def muon(case: Case) -> Iterator[Problem]:
    """Under ZeRO, Muon's update replaces the gradient before it is clipped."""
    clipping = case.of("gradient_clipping", 1.0)
    if case.optimizer != "Muon" or case.stage is None:
        return
    if clipping and case.stage > 0:
        found = case.config.get("gradient_clipping")
        rule = "must be 0 (it is 1.0 when absent): ZeRO would clip Muon's update, not the gradient"
        yield Problem("gradient_clipping", found, rule, "write 0.0")
    if case.stage == 3 and case.of("zero_optimization.reduce_scatter", True):
        where, found = "zero_optimization.reduce_scatter", True
        yield Problem(where, found, "must be false for Muon at ZeRO stage 3", "write false")


def cut_matrices(case: Case) -> Iterator[Problem]:
    """What takes whole matrices, or all ranks for copies of each other."""
    if case.tensor_parallel == 1:
        return
    cut, name = f"tensor_parallel = {case.tensor_parallel}", case.optimizer
    if name is not None and (name == "Muon" or not OPTIMIZERS[name].elementwise):
        rule = f"computes with whole matrices, which {cut} cuts into pieces"
        yield Problem(TYPE, case.of(TYPE), rule, 'write "AdamW", or give tensor_parallel=1')
    for key in ("zero_hpz_partition_size", "zero_quantized_gradients"):
        where = f"zero_optimization.{key}"
        if (value := case.of(where, 0)) not in (None, 0, 1, False):
            rule = f"takes all ranks for copies of each other, which they are not at {cut}"
            yield Problem(where, value, rule, "delete it, or give tensor_parallel=1")


RULES = (
    batch,
    *PRECISION_RULES,
    pipeline,
    offload,
    gradients,
    hardware,
    optimizer,
    learning_rate,
    parameters,
    zero,
    whole_matrices,
    cut_matrices,
    muon,
)
