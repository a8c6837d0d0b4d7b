"""Settings, DeepSpeed's JSON and layout together: every mistake is found, and no other is made up.

Right combinations are drawn with a seed; a wrong one is a right one with something broken in it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT

from dslm.environment import World
from dslm.errors import UserError
from dslm.train.combination import ASSUMED, Combination, combine

LAYERS, WIDTH = 4, 48
MICRO, ROUNDS, BATCH = (
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "train_batch_size",
)
TORCH: dict[str, Any] = {"lr": 1e-3, "betas": [0.9, 0.95], "torch_adam": True, "fused": True}


@dataclass
class Case:
    """A combination."""

    words: dict[str, Any]
    deepspeed: dict[str, Any]
    ranks: int
    cpu: bool
    preset: str = "tiny"
    more: list[str] = field(default_factory=list)

    @property
    def stages(self) -> int:
        """Pipeline stages."""
        return int(self.words.get("pipeline_stages", 1))

    @property
    def zero(self) -> dict[str, Any]:
        """The block of that name."""
        block: dict[str, Any] = self.deepspeed["zero_optimization"]
        return block

    def combine(self, folder: Path) -> Combination:
        """Check it."""
        file = folder / "deepspeed.json"
        file.write_text(json.dumps(self.deepspeed))
        words = [self.preset, *(f"{key}={value}" for key, value in self.words.items()), *self.more]
        world = World(size=self.ranks, local_size=self.ranks, cpu=self.cpu)
        return combine(words, None, str(file), world)


def right(seed: int) -> Case:
    """A combination that trains."""
    draw = random.Random(seed)
    cpu = draw.random() < 0.5
    half = draw.choice(["", "bf16"] if cpu else ["", "bf16", "fp16"])
    stages = draw.choice([1, 1, 2, 4])
    replicas = draw.choice([1, 2, 3, 8])
    zero = 1 if stages > 1 else draw.randrange(1 if half else 0, 4)
    micro, rounds = draw.choice([1, 2, 5]), draw.choice([1, 2, 4])
    sizes = {MICRO: micro, ROUNDS: rounds, BATCH: micro * rounds * replicas}
    sizes.pop(draw.choice([MICRO, ROUNDS, BATCH, "none"]), None)
    kinds = [
        ("AdamW", {**TORCH, "weight_decay": 0.1}),
        ("Adam", {**TORCH, "adam_w_mode": False}),
        ("AdamW", {"lr": 3e-4}),
        ("Adagrad", {"lr": 1e-2}),
        *([("SGD", {"lr": 0.1, "momentum": 0.9})] if zero == 0 else []),
        *([("Lion", {"lr": 1e-4})] if not cpu else []),
    ]
    kind, params = draw.choice(kinds)
    block: dict[str, Any] = {"stage": zero}
    if zero > 0 and kind == "AdamW" and draw.random() < 0.3:
        block["offload_optimizer"] = {"device": "cpu"}
    if zero == 3 and draw.random() < 0.3:
        block |= {"offload_param": {"device": "cpu"}, "stage3_max_live_parameters": 1e8}
    if draw.random() < 0.5:
        block |= {"overlap_comm": True, "reduce_bucket_size": 5e7}
    deepspeed: dict[str, Any] = {
        **sizes,
        "optimizer": {"type": kind, "params": params},
        "zero_optimization": block,
        "gradient_clipping": draw.choice([0.0, 1.0]),
        **({half: {"enabled": True}} if half else {}),
    }
    words = {
        "pipeline_stages": stages,
        "model.layers": LAYERS,
        "model.width": WIDTH,
        "model.heads": draw.choice([1, 2, 4, 6]),
        "model.recompute": draw.choice(["true", "false"]),
        "model.activation": draw.choice(["gelu", "swiglu"]),
        "schedule.kind": draw.choice(["cosine", "constant", "linear"]),
    }
    return Case(words, deepspeed, replicas * stages, cpu)


@pytest.mark.parametrize("seed", range(80))
def test_no_mistake_is_made_up(seed: int, tmp_path: Path) -> None:
    from deepspeed.runtime.config import DeepSpeedConfig

    case = right(seed)
    found = case.combine(tmp_path)
    assert found.plan.world == case.ranks
    assert found.assumed
    assert found.config.model.size == ASSUMED
    plan = found.plan
    alone = {**plan.deepspeed(case.deepspeed), BATCH: plan.micro_batch * plan.accumulation}
    DeepSpeedConfig(alone)  # it knows of one rank here


@pytest.mark.parametrize("word", ["fp32", "bf16", "bf16_autocast", "fp16", "fp8"])
def test_a_word_for_the_precision_is_written_into_the_file(word: str, tmp_path: Path) -> None:
    from deepspeed.runtime.config import DeepSpeedConfig

    case = right(0)
    case.cpu = word != "fp16"
    case.words |= {"precision": word, "pipeline_stages": 1}
    case.more = ["float8.narrowest=48"] if word == "fp8" else []
    case.ranks, case.deepspeed = 1, {BATCH: 4, MICRO: 2, "optimizer": {"type": "AdamW"}}
    case.deepspeed["optimizer"]["params"] = TORCH
    case.deepspeed[ZERO] = {"stage": 1}
    found = case.combine(tmp_path)
    read = DeepSpeedConfig(found.plan.deepspeed(found.deepspeed))
    on = (
        read.float16_config.enabled,
        read.bfloat16_config.enabled,
        bool(read.torch_autocast_enabled),
    )
    expected = {"fp16": 0, "bf16": 1, "fp8": 1, "bf16_autocast": 2}.get(word)
    assert [index for index, enabled in enumerate(on) if enabled] == (
        [] if expected is None else [expected]
    )
    assert read.grad_accum_dtype == ("fp32" if word in ("bf16", "fp8") else None)


@pytest.mark.parametrize("path", sorted((ROOT / "ds_configs").glob("*.json")), ids=lambda p: p.stem)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_files_of_the_project_are_right(path: Path, ranks: int) -> None:
    stages = 2 if path.stem.startswith("pipeline") else 1
    if ranks < stages:
        ranks = stages
    words = ["tiny", f"pipeline_stages={stages}"]
    world = World(size=ranks, local_size=ranks, cpu=False)
    assert combine(words, None, str(path), world).plan.world == ranks


Break = Callable[[Case], None]
"""Breaks something."""


def word(key: str, value: object) -> Break:
    """Break a setting."""

    def do(case: Case) -> None:
        case.words[key] = value

    return do


def key(path: str, value: Any) -> Break:
    """Break a key of DeepSpeed's JSON."""

    def do(case: Case) -> None:
        *parents, leaf = path.split(".")
        block = case.deepspeed
        for name in parents:
            block = block.setdefault(name, {})
        block[leaf] = value

    return do


def without(name: str) -> Break:
    """Leave a key of DeepSpeed's JSON out."""

    def do(case: Case) -> None:
        case.deepspeed.pop(name, None)

    return do


def both(*breaks: Break) -> Break:
    """Break several things that make one mistake."""

    def do(case: Case) -> None:
        for one in breaks:
            one(case)

    return do


def on_cpu(case: Case) -> None:
    """Compute on CPUs."""
    case.cpu = True


def ranks(number: int) -> Break:
    """Start another number of ranks."""

    def do(case: Case) -> None:
        case.ranks = number

    return do


def sizes(**values: int) -> Break:
    """Give other batch sizes."""

    def do(case: Case) -> None:
        for name in (MICRO, ROUNDS, BATCH):
            case.deepspeed.pop(name, None)
        names = {"micro": MICRO, "rounds": ROUNDS, "batch": BATCH}
        case.deepspeed |= {names[name]: value for name, value in values.items()}

    return do


def zero(stage: int, **more: Any) -> Break:
    """Another ZeRO block, without a pipeline."""
    block = {"stage": stage, **more}
    return both(word("pipeline_stages", 1), key("zero_optimization", block))


ZERO = "zero_optimization"
FLOAT32 = both(without("bf16"), without("fp16"))
BROKEN: dict[str, tuple[Break, str]] = {
    "heads": (word("model.heads", 5), "model.heads"),
    "key-value heads": (
        both(word("model.heads", 4), word("model.key_value_heads", 3)),
        "model.key_value_heads",
    ),
    "rotary": (
        both(word("model.heads", 16), word("model.positions", "rotary")),
        "model.heads",
    ),
    "odd width": (
        both(
            word("model.width", 45), word("model.heads", 1), word("model.positions", "sinusoidal")
        ),
        "model.width",
    ),
    "misspelt setting": (word("model.layer", 2), "model.layer"),
    "no such setting": (word("colour", "blue"), "colour"),
    "text for a number": (word("steps", "many"), "steps"),
    "dropout": (word("model.dropout", 1.5), "model.dropout"),
    "schedule": (word("schedule.kind", "cosin"), "schedule.kind"),
    "too many stages": (both(word("pipeline_stages", 8), ranks(8)), "pipeline_stages"),
    "stages and ranks": (
        both(zero(1), word("pipeline_stages", 4), ranks(6)),
        "pipeline_stages",
    ),
    "goal without validation": (word("target_loss", 2.0), "target_loss"),
    "patience without validation": (word("patience", 3), "patience"),
    "bottleneck": (word("model.bottleneck_width", 8), "model.bottleneck_width"),
    "recurrent heads": (word("model.block", "lstm"), "model.heads"),
    "two sources of weights": (
        both(word("word_vectors", "vectors.txt"), word("init_from", "nowhere")),
        "init_from",
    ),
    "objective": (word("model.attention", "full"), "model.attention"),
    "no batch": (sizes(), BATCH),
    "accumulation alone": (sizes(rounds=2), ROUNDS),
    "batch and ranks": (
        both(ranks(4), word("pipeline_stages", 1), sizes(micro=2, batch=12)),
        BATCH,
    ),
    "batch that contradicts": (sizes(micro=2, rounds=2, batch=1), BATCH),
    "batch of text": (both(sizes(micro=2, rounds=2), key(MICRO, "2")), MICRO),
    "batch below zero": (both(sizes(micro=2, rounds=2), key(ROUNDS, 0)), ROUNDS),
    "no optimizer": (without("optimizer"), "optimizer"),
    "misspelt optimizer": (key("optimizer.type", "AdanW"), "optimizer.type"),
    "optimizer of before": (key("optimizer.type", "OneBitAdam"), "optimizer.type"),
    "no rate": (key("optimizer", {"type": "AdamW", "params": {}}), "optimizer.params.lr"),
    "rate below zero": (key("optimizer.params.lr", -1.0), "optimizer.params.lr"),
    "automatic rate": (key("optimizer.params.lr", "auto"), "optimizer.params.lr"),
    "no such parameter": (key("optimizer.params.beta", 1), "optimizer.params.beta"),
    "betas": (
        key("optimizer", {"type": "AdamW", "params": {"lr": 1e-3, "betas": [0.9]}}),
        "optimizer.params.betas",
    ),
    "parameter of another class": (
        both(zero(1), key("optimizer", {"type": "AdamW", "params": {"lr": 1e-3, "fused": True}})),
        "optimizer.params.fused",
    ),
    "Lamb under ZeRO": (
        both(zero(2), key("optimizer", {"type": "Lamb", "params": {"lr": 1e-3}})),
        "optimizer.type",
    ),
    "SGD under ZeRO": (
        both(zero(1), key("optimizer", {"type": "SGD", "params": {"lr": 1e-3}})),
        "optimizer.type",
    ),
    "Lion on CPUs": (
        both(on_cpu, key("optimizer", {"type": "Lion", "params": {"lr": 1e-3}})),
        "optimizer.type",
    ),
    "Muon that is clipped": (
        both(
            zero(2),
            key("gradient_clipping", 1.0),
            key("optimizer", {"type": "Muon", "params": {"lr": 1e-3, "torch_adam": True}}),
        ),
        "gradient_clipping",
    ),
    "stage 4": (key(f"{ZERO}.stage", 4), f"{ZERO}.stage"),
    "stage as text": (key(f"{ZERO}.stage", "2"), f"{ZERO}.stage"),
    "pipeline and ZeRO-2": (
        both(word("pipeline_stages", 2), ranks(4), key(f"{ZERO}.stage", 2)),
        f"{ZERO}.stage",
    ),
    "pipeline and ZeRO-3": (
        both(word("pipeline_stages", 2), ranks(4), key(f"{ZERO}.stage", 3)),
        f"{ZERO}.stage",
    ),
    "pipeline without ZeRO": (
        both(word("pipeline_stages", 2), ranks(4), key(ZERO, {"stage": 0})),
        f"{ZERO}.stage",
    ),
    "16 bits without ZeRO": (
        both(FLOAT32, key("bf16", {"enabled": True}), zero(0)),
        f"{ZERO}.stage",
    ),
    "float16 on CPUs": (
        both(on_cpu, FLOAT32, key("fp16", {"enabled": True}), key(f"{ZERO}.stage", 1)),
        "fp16.enabled",
    ),
    "two precisions": (
        both(key("fp16", {"enabled": True}), key("bf16", {"enabled": True})),
        "fp16.enabled",
    ),
    "misspelt precision": (key("bf_16", {"enabled": True}), "bf_16"),
    "precision of the weights": (
        both(FLOAT32, key("data_types", {"param_dtype": "bf16"})),
        "data_types.param_dtype",
    ),
    "precision that the file contradicts": (
        both(FLOAT32, key("bf16", {"enabled": True}), word("precision", "fp16")),
        "precision",
    ),
    "float16 on CPUs by the word": (both(on_cpu, FLOAT32, word("precision", "fp16")), "precision"),
    "no such precision": (word("precision", "bf-16"), "precision"),
    "8 bits of narrow layers": (both(FLOAT32, zero(1), word("precision", "fp8")), "precision"),
    "8 bits and rounding": (
        both(
            word("precision", "fp8"),
            word("float8.narrowest", 48),
            word("quantization.scheme", "w8a8"),
        ),
        "quantization.scheme",
    ),
    "a recipe without 8 bits": (word("float8.recipe", "rowwise"), "float8.recipe"),
    "parameters on the host at stage 2": (
        zero(2, offload_param={"device": "cpu"}),
        f"{ZERO}.offload_param.device",
    ),
    "optimizer on the host at stage 0": (
        both(FLOAT32, zero(0, offload_optimizer={"device": "cpu"})),
        f"{ZERO}.offload_optimizer.device",
    ),
    "NVMe without a folder": (
        zero(3, offload_optimizer={"device": "nvme"}),
        f"{ZERO}.offload_optimizer.device",
    ),
    "a device that does not exist": (
        zero(3, offload_optimizer={"device": "gpu"}),
        f"{ZERO}.offload_optimizer.device",
    ),
    "part of the optimizer at stage 2": (
        zero(2, offload_optimizer={"device": "cpu", "ratio": 0.5}),
        f"{ZERO}.offload_optimizer.ratio",
    ),
    "quantized weights on CPUs": (
        both(on_cpu, zero(3, zero_quantized_weights=True)),
        f"{ZERO}.zero_quantized_weights",
    ),
    "scaled twice": (both(zero(2), key("prescale_gradients", True)), "prescale_gradients"),
    "divided twice": (
        both(zero(2), key("gradient_predivide_factor", 2.0)),
        "gradient_predivide_factor",
    ),
    "summed gradients": (key("gradient_allreduce_op", "sum"), "gradient_allreduce_op"),
    "offload of before": (key(f"{ZERO}.cpu_offload", True), f"{ZERO}.cpu_offload"),
    "scheduler": (key("scheduler", {"type": "WarmupLR"}), "scheduler"),
    "elasticity": (key("elasticity", {"enabled": True}), "elasticity"),
    "activation checkpointing": (
        key("activation_checkpointing", {"partition_activations": True}),
        "activation_checkpointing",
    ),
    "tensor parallelism": (
        key("tensor_parallel", {"autotp_size": 2}),
        "tensor_parallel",
    ),
    "stages in the file": (key("pipeline", {"stages": 2}), "pipeline.stages"),
    "misplaced stage": (key("stage", 2), "stage"),
    "misspelt ZeRO": (key("zero_optimisation", {"stage": 2}), "zero_optimisation"),
    "block as a flag": (key(ZERO, True), ZERO),
    "clipping as text": (key("gradient_clipping", "1"), "gradient_clipping"),
}
"""What is broken, and the key under which it must be reported."""


def test_the_collection_is_large() -> None:
    assert len(BROKEN) >= 60


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_mistake_is_found_whatever_else_there_is(name: str, seed: int, tmp_path: Path) -> None:
    broken, where = BROKEN[name]
    case = right(seed)
    broken(case)
    with pytest.raises(UserError) as caught:
        case.combine(tmp_path)
    assert where in {problem.where for problem in caught.value.problems}
    assert all(problem.rule for problem in caught.value.problems)


@pytest.mark.parametrize("seed", range(40))
def test_two_mistakes_are_found_together(seed: int, tmp_path: Path) -> None:
    apart = ["heads", "misspelt setting", "dropout", "patience without validation"]
    others = [
        "no rate",
        "stage 4",
        "summed gradients",
        "scheduler",
        "elasticity",
        "misplaced stage",
    ]
    draw, case = random.Random(seed), right(seed)
    chosen = [BROKEN[draw.choice(apart)], BROKEN[draw.choice(others)]]
    for broken, _ in chosen:
        broken(case)
    with pytest.raises(UserError) as caught:
        case.combine(tmp_path)
    found = {problem.where for problem in caught.value.problems}
    assert {where for _, where in chosen} <= found


def test_data_that_is_given_must_be_there(tmp_path: Path) -> None:
    case = right(0)
    case.more = ["data.train=nowhere"]
    with pytest.raises(UserError, match="nowhere"):
        case.combine(tmp_path)


def test_data_decides_the_vocabulary(tmp_path: Path, shard_set: Path) -> None:
    case = right(0)
    case.words["model.sequence"] = 32
    case.more = [f"data.train={shard_set}"]
    found = case.combine(tmp_path)
    assert not found.assumed
    assert found.config.model.size < 100
