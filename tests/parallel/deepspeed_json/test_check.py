"""Every mistake in a DeepSpeed JSON is reported with its key, what was found and what to do."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT

from dslm.errors import ConfigError, Problem
from dslm.files.whole import read_json
from dslm.parallel.deepspeed_json.automatic import with_defaults
from dslm.parallel.deepspeed_json.check import check, compiled_ops

CONFIGS = sorted((ROOT / "ds_configs").glob("*.json"))

GOOD: dict[str, Any] = {
    "train_batch_size": 32,
    "train_micro_batch_size_per_gpu": 8,
    "gradient_clipping": 1.0,
    "optimizer": {"type": "AdamW", "params": {"lr": 6e-4, "torch_adam": True}},
    "zero_optimization": {"stage": 1},
}

GONE = object()
"""In place of a value: the key is taken out."""


def changed(**changes: Any) -> dict[str, Any]:
    """`GOOD` with keys set; two underscores lead into a block."""
    config = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *blocks, name = path.split("__")
        block = config
        for each in blocks:
            block = block.setdefault(each, {})
        if value is GONE:
            del block[name]
        else:
            block[name] = value
    return config


def check_all(config: dict[str, Any], pipeline_stages: int = 1, cpu: bool = True) -> list[Problem]:
    return check(config, pipeline_stages=pipeline_stages, cpu=cpu)


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def test_a_good_file_has_no_problem() -> None:
    assert check_all(GOOD) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("cpu", [True, False])
def test_every_file_of_the_project_is_right_and_compiles_nothing_but_lamb(
    path: Path, cpu: bool
) -> None:
    config = read_json(path)
    stages = 2 if path.stem.startswith("pipeline") else 1
    refused = {"zero2_fp16": ["fp16.enabled"], "zero0_lamb_fp32": ["optimizer.type"]} if cpu else {}
    assert [problem.where for problem in check_all(config, stages, cpu)] == refused.get(
        path.stem, []
    )
    lamb = ["fused_lamb"] if path.stem == "zero0_lamb_fp32" and not cpu else []
    assert compiled_ops(config, cpu=cpu) == lamb
    assert 10 <= len(path.read_text().splitlines()) <= 30


def test_the_project_has_a_file_for_every_stage_and_precision() -> None:
    names = {path.stem for path in CONFIGS}
    assert {
        "zero0_fp32",
        "zero1_fp32",
        "zero1_bf16",
        "zero2_fp16",
        "zero3_bf16",
        "zero3_offload_bf16",
    } <= names


MISSPELT_OR_MISPLACED = [
    ({"gradient_cliping": 0.5}, "gradient_cliping", 0.5, "did you mean 'gradient_clipping'?"),
    ({"zero_optimisation": {"stage": 3}}, "zero_optimisation", None, "'zero_optimization'"),
    ({"zero_optimization__stge": 3}, "zero_optimization.stge", 3, "did you mean 'stage'?"),
    ({"bf16__enabeld": True}, "bf16.enabeld", True, "did you mean 'enabled'?"),
    ({"optimizer__parms": {}}, "optimizer.parms", None, "did you mean 'params'?"),
    ({"stage": 3}, "stage", 3, "it belongs in zero_optimization"),
    ({"lr": 1e-3}, "lr", 1e-3, "it belongs in optimizer.params"),
    ({"nvme_path": "/n"}, "nvme_path", "/n", "offload_param or in zero_optimization.offload_opt"),
    (
        {"zero_optimization__gradient_clipping": 1.0},
        "zero_optimization.gradient_clipping",
        1.0,
        "it belongs at the top level",
    ),
    ({"optimizer__params__betta": 1}, "optimizer.params.betta", 1, "did you mean 'betas'?"),
    ({"warmup": 5}, "warmup", 5, "delete it"),
]


@pytest.mark.parametrize(("changes", "where", "found", "fix"), MISSPELT_OR_MISPLACED)
def test_an_unknown_key_is_reported_with_the_one_meant(
    changes: dict[str, Any], where: str, found: Any, fix: str
) -> None:
    problem = only(check_all(changed(**changes)))
    assert (problem.where, problem.found) == (where, found)
    assert fix in problem.fix


WRONG_VALUES = [
    ("train_batch_size", 8.0, "a whole number, at least 1", "write 8"),
    ("train_batch_size", "8", "a whole number, at least 1", "write 8"),
    ("train_batch_size", True, "a whole number, at least 1", ""),
    ("train_micro_batch_size_per_gpu", 0, "a whole number, at least 1", ""),
    ("train_micro_batch_size_per_gpu", -2, "a whole number, at least 1", ""),
    ("gradient_clipping", "1.0", "a number, at least 0", "write 1.0"),
    ("gradient_clipping", True, "a number, at least 0", ""),
    ("gradient_clipping", None, "a number, at least 0", "delete it"),
    ("gradient_clipping", float("nan"), "a number, at least 0", ""),
    ("zero_optimization__stage", 4, "a whole number, at least 0 and at most 3", ""),
    ("zero_optimization__stage", "3", "a whole number, at least 0 and at most 3", "write 3"),
    ("zero_optimization__overlap_comm", 1, "true or false", "write true"),
    ("zero_optimization__reduce_bucket_size", 0.5, "a whole number, at least 1", ""),
    ("zero_optimization__offload_param__device", "CPU", '"none" or "cpu"', 'write "cpu"'),
    ("zero_optimization__offload_param__device", "cpuu", '"none" or "cpu"', "mean 'cpu'?"),
    ("zero_optimization__leaf_module__names", "x", "a list of each text", 'write ["x"]'),
    ("bf16__enabled", "true", "true or false", "write true"),
    ("fp16__loss_scale", -1, "a number, at least 0", ""),
    ("communication_data_type", "fp23", '"fp32" or "fp16"', "did you mean 'fp32'?"),
    ("wandb__project", 3, "text", ""),
    ("optimizer__params__betas", [0.9], "a list of 2 values", ""),
    ("optimizer__params__betas", [0.9, 1.0], "a number, at least 0 and below 1", ""),
    ("optimizer__params__lr", 0, "a number, above 0", ""),
    ("optimizer__params__lr", "6e-4", "a number, above 0", "write 0.0006"),
    ("optimizer__type", 5, "text", ""),
    ("zero_optimization", True, "a block of keys", 'write "zero_optimization": {"stage": 1}'),
    ("optimizer", "AdamW", "a block of keys", 'write "optimizer": {"type": "AdamW"}'),
]


@pytest.mark.parametrize(("path", "value", "rule", "fix"), WRONG_VALUES)
def test_a_wrong_value_is_reported_with_the_right_kind(
    path: str, value: Any, rule: str, fix: str
) -> None:
    problem = only(check_all(changed(**{path: value})))
    assert problem.where == path.replace("__", ".")
    assert problem.found is value
    assert problem.rule.startswith("must be ")
    assert rule in problem.rule
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("train_batch_size", "write the value itself: a whole number, at least 1, per_device"),
        ("optimizer__params__lr", "write the value itself: a number, above 0, learning_rate"),
        ("bf16__enabled", "write true or false; or leave it and type precision=bf16"),
        ("fp16__enabled", "write true or false; or leave it and type precision=fp16"),
        ("zero_optimization__reduce_bucket_size", "delete it: DeepSpeed has a default"),
    ],
)
def test_auto_is_reported_as_hugging_faces(path: str, fix: str) -> None:
    problem = only(check_all(changed(**{path: "auto"})))
    assert (problem.where, problem.found) == (path.replace("__", "."), "auto")
    assert "Hugging Face" in problem.rule
    assert problem.fix.startswith(fix)


def test_auto_is_filled_in_where_it_stands_for_one_value() -> None:
    auto = "auto"
    params = {"lr": auto, "betas": auto, "eps": auto, "weight_decay": auto}
    file = {
        "train_batch_size": auto,
        "train_micro_batch_size_per_gpu": 2,
        "gradient_accumulation_steps": auto,
        "gradient_clipping": auto,
        "bf16": {"enabled": auto},
        "optimizer": {"type": "AdamW", "params": params},
        "zero_optimization": {"reduce_bucket_size": auto},
    }
    filled = {
        "train_micro_batch_size_per_gpu": 2,
        "gradient_clipping": 1.0,
        "bf16": {"enabled": auto},
        "optimizer": {
            "type": "AdamW",
            "params": {"lr": auto, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0},
        },
        "zero_optimization": {"reduce_bucket_size": auto},
    }
    assert with_defaults(file, precise=False) == filled
    assert with_defaults(file, precise=True) == {**filled, "bf16": {}}
    batch = {"train_batch_size": auto}
    assert with_defaults(batch, precise=False) == batch


@pytest.mark.parametrize("name", ["OnebitAdam", "OneBitAdam", "onebitlamb", "ZeroOneAdam"])
def test_an_optimizer_that_was_removed_is_known_in_any_case(name: str) -> None:
    file = changed(optimizer__type=name, optimizer__params={"lr": 1e-3, "freeze_step": 5})
    found = {problem.where: problem for problem in check_all(file)}
    assert found["optimizer.type"].fix in ('write "AdamW"', 'write "Lamb"')
    assert "was removed" in found["optimizer.params.freeze_step"].rule


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("half", ["fp16", "bf16", None])
@pytest.mark.parametrize("stages", [1, 2])
def test_no_advice_for_lamb_leads_to_another(stage: int, half: str | None, stages: int) -> None:
    file: dict[str, Any] = {**GOOD, "optimizer": {"type": "Lamb", "params": {"lr": 1e-3}}}
    file["zero_optimization"] = {"stage": stage}
    if half:
        file[half] = {"enabled": True}
    for problem in check(file, pipeline_stages=stages, cpu=False):
        if problem.where == "optimizer.type":
            assert ('delete "' in problem.fix) is (half is not None)
            assert ("pipeline_stages=1" in problem.fix) is (stages > 1)
            assert ("stage to 0" in problem.fix) is (stage > 0)
        else:
            assert (problem.where, stages) == ("zero_optimization.stage", 2)
            assert stage == 2
    mended = {key: value for key, value in file.items() if key != half}
    mended["zero_optimization"] = {"stage": 0}
    assert list(check(mended, pipeline_stages=1, cpu=False)) == []


def test_a_bucket_size_may_be_written_with_an_exponent() -> None:
    assert check_all(changed(zero_optimization__reduce_bucket_size=5e8)) == []


REFUSED = [
    ("scheduler", {"type": "WarmupLR"}, "dslm owns the schedule", "write schedule.kind=constant"),
    ("scheduler", {"type": "Other"}, "dslm owns the schedule", "schedule.kind=…"),
    ("data_efficiency", {"enabled": True}, "dslm owns the order", "delete it"),
    ("checkpoint", {"load_universal": True}, "any layout can load", "delete it"),
    ("amp", {"enabled": True}, "was removed from DeepSpeed", '"bf16": {"enabled": true}'),
    ("elasticity", {"enabled": True}, "was removed", "resumes at any world size"),
    ("tensor_parallel", {"autotp_size": 2}, "replaces layers", "give tensor_parallel="),
    ("expert_parallel", {"enabled": True}, "dslm shares experts", "give expert_parallel"),
    ("sequence_parallel_size", 2, "is not read", "sequence_parallel=…"),
    ("bfloat16", {"enabled": True}, "is an old name", 'write "bf16"'),
    ("cpu_offload", True, "is an old name", '"offload_optimizer": {"device": "cpu"}'),
    ("zero_optimization__cpu_offload", True, "is an old name", '"offload_optimizer"'),
    ("zero_optimization__mics_shard_size", 2, "was removed", "delete it"),
    ("zero_optimization__zenflow", {"topk_ratio": 0.1}, "depend on the layout", "delete it"),
    ("pipeline__stages", 2, "is not read by DeepSpeed", "pipeline_stages=…"),
    ("optimizer__params__max_grad_norm", 1.0, "is an old name", '"gradient_clipping"'),
]


@pytest.mark.parametrize(("path", "value", "rule", "fix"), REFUSED)
def test_a_refused_key_is_reported_with_its_reason(
    path: str, value: Any, rule: str, fix: str
) -> None:
    problem = only(check_all(changed(**{path: value})))
    assert problem.where == path.replace("__", ".")
    assert rule in problem.rule
    assert fix in problem.fix


CPU_OFFLOAD = {"device": "cpu"}
MASTERS = "bf16_master_weights_and_grads"
LEAN = {"enabled": True, MASTERS: True, "bf16_optimizer_states": True}
ON_HOST = {
    "zero_optimization__offload_optimizer": CPU_OFFLOAD,
    "optimizer__params": {"lr": 1.0},
}
LEAN_MASTERS = {"enabled": True, MASTERS: True}

CONTRADICTIONS = [
    (
        {"fp16__enabled": True, "bf16__enabled": True},
        "fp16.enabled",
        "bf16.enabled is true as well",
        "keep one",
    ),
    (
        {"bf16__enabled": True, "data_types__param_dtype": "fp32"},
        "data_types.param_dtype",
        "bf16",
        'write "bf16"',
    ),
    (
        {"zero_optimization__stage": 0, "data_types__grad_accum_dtype": "bf16"},
        "data_types.grad_accum_dtype",
        "without ZeRO",
        "zero_optimization.stage to 1",
    ),
    (
        {"zero_optimization__stage": 0, "bf16": {"bf16_master_weights_and_grads": True}},
        "bf16.bf16_master_weights_and_grads",
        "needs ZeRO",
        "zero_optimization.stage to 1",
    ),
    (
        {"bf16__bf16_optimizer_states": True},
        "bf16.bf16_optimizer_states",
        "needs bf16.bf16_master_weights_and_grads",
        "to true",
    ),
    (
        {"bf16__enabled": True, "torch_autocast": {"enabled": True, "dtype": "bf16"}},
        "bf16.enabled",
        "torch_autocast.enabled is true as well",
        "keep one",
    ),
    (
        {"torch_autocast__enabled": True},
        "torch_autocast.dtype",
        "another one on a GPU",
        'write "bfloat16"',
    ),
    (
        {"bf16": {MASTERS: True, "bf16_optimizer_states": True}},
        f"bf16.{MASTERS}",
        "needs bf16.enabled",
        "set it to true",
    ),
    (
        {"bf16": {"enabled": True, MASTERS: True}},
        f"bf16.{MASTERS}",
        "needs bf16.bf16_optimizer_states too",
        "to true",
    ),
    (
        {"bf16": LEAN, "data_types__grad_accum_dtype": "fp32"},
        f"bf16.{MASTERS}",
        "ignored by DeepSpeed at ZeRO stage 1",
        "set zero_optimization.stage to 2",
    ),
    (
        {
            "bf16": LEAN,
            "zero_optimization__offload_optimizer": CPU_OFFLOAD,
            "optimizer__params__torch_adam": True,
        },
        f"bf16.{MASTERS}",
        "DeepSpeed's own Adam",
        "without torch_adam",
    ),
    (
        {
            "bf16": LEAN,
            "optimizer": {"type": "Muon", "params": {"lr": 0.1}},
            "gradient_clipping": 0.0,
        },
        f"bf16.{MASTERS}",
        "not for Muon",
        "AdamW",
    ),
    (
        {
            "zero_optimization__offload_optimizer": CPU_OFFLOAD,
            "optimizer__params": {"lr": 1.0, "fp32_optimizer_states": False},
        },
        "optimizer.params.fp32_optimizer_states",
        "of the type of the masters",
        "delete it",
    ),
    (
        {"zero_optimization__stage": 2, "zero_optimization__offload_param": CPU_OFFLOAD},
        "zero_optimization.offload_param.device",
        "is ignored at ZeRO stage 2",
        "set zero_optimization.stage to 3",
    ),
    (
        {"zero_optimization__stage": 0, "zero_optimization__offload_optimizer": CPU_OFFLOAD},
        "zero_optimization.offload_optimizer.device",
        "is ignored at ZeRO stage 0",
        "set zero_optimization.stage to 1",
    ),
    (
        {"zero_optimization__offload_optimizer": {"device": "nvme"}},
        "zero_optimization.offload_optimizer.device",
        "needs a folder",
        'add "nvme_path" to offload_optimizer',
    ),
    (
        {"zero_optimization__offload_optimizer": {"device": "cpu", "ratio": 0.5}},
        "zero_optimization.offload_optimizer.ratio",
        "stage 3 only",
        "delete it",
    ),
    ({"gradient_allreduce_op": "sum"}, "gradient_allreduce_op", "number of ranks", '"mean"'),
    ({"compile__deepcompile": True}, "compile", "has no effect", "compile=true"),
    (
        {"activation_checkpointing__cpu_checkpointing": True},
        "activation_checkpointing",
        "has no effect",
        "model.recompute=true",
    ),
    (
        {"optimizer__params": {"lr": 1.0, "adam_w_mode": False}},
        "optimizer.params.adam_w_mode",
        "always AdamW",
        '"type": "Adam"',
    ),
    (
        {"optimizer__params": {"lr": 1.0, "fp32_optimizer_states": False}},
        "optimizer.params.fp32_optimizer_states",
        "is no parameter of FusedAdam",
        "delete it",
    ),
    ({"aio__use_gds": True}, "aio.use_gds", "GPU only", "delete it"),
    (
        {"zero_optimization__zero_quantized_weights": True},
        "zero_optimization.zero_quantized_weights",
        "GPU only",
        "delete it",
    ),
    (
        {
            "train_batch_size": GONE,
            "train_micro_batch_size_per_gpu": GONE,
            "gradient_accumulation_steps": 2,
        },
        "gradient_accumulation_steps",
        "does not say how many sequences",
        "add train_micro_batch_size_per_gpu or train_batch_size",
    ),
    (
        {"train_batch_size": GONE, "train_micro_batch_size_per_gpu": GONE},
        "train_batch_size",
        "is required",
        'add "train_micro_batch_size_per_gpu": 8, or give batch=64',
    ),
    ({"optimizer": GONE}, "optimizer", "is required", '"AdamW"'),
    ({"optimizer__type": GONE}, "optimizer.type", "is required", "write one of AdamW, Adam"),
    (
        {"optimizer__type": "AdamX"},
        "optimizer.type",
        "must be one of AdamW",
        "did you mean 'Adam'?",
    ),
    ({"optimizer__type": "OneBitAdam"}, "optimizer.type", "was removed", 'write "AdamW"'),
    ({"optimizer__params__lr": GONE}, "optimizer.params.lr", "is required", 'add "lr"'),
    ({"optimizer__params": GONE}, "optimizer.params.lr", "is required", 'add "lr"'),
    (
        {"optimizer__params": {"lr": 1.0, "fused": True}},
        "optimizer.params.fused",
        "is no parameter of FusedAdam",
        'add "torch_adam": true',
    ),
    (
        {"optimizer__params__bias_correction": True},
        "optimizer.params.bias_correction",
        "is no parameter of torch.optim.AdamW",
        "delete it",
    ),
    (
        {"optimizer__params__fused": True, "optimizer__params__foreach": True},
        "optimizer.params.foreach",
        "does not go with fused",
        "delete it",
    ),
    (
        {"optimizer": {"type": "SGD", "params": {"lr": 0.1}}},
        "optimizer.type",
        "refused under ZeRO",
        '"zero_allow_untested_optimizer": true',
    ),
    (
        {"optimizer": {"type": "sgd", "params": {"lr": 0.1}}},
        "optimizer.type",
        "must be one of AdamW",
        "did you mean 'SGD'?",
    ),
    ({"optimizer": {"type": "Lion", "params": {"lr": 0.1}}}, "optimizer.type", "GPU only", "AdamW"),
    (
        {"optimizer": {"type": "Muon", "params": {"lr": 0.1}}},
        "gradient_clipping",
        "must be 0",
        "write 0.0",
    ),
    (
        {"optimizer": {"type": "Muon", "params": {"lr": 0.1}}, "gradient_clipping": GONE},
        "gradient_clipping",
        "1.0 when absent",
        "write 0.0",
    ),
    (
        {
            "optimizer": {"type": "Muon", "params": {"muon_lr": 0.1}},
            "gradient_clipping": 0.0,
        },
        "optimizer.params.lr",
        "is required",
        'add "muon_lr" and "adam_lr"',
    ),
    (
        {
            "optimizer": {"type": "Muon", "params": {"lr": 0.1}},
            "gradient_clipping": 0.0,
            "zero_optimization__stage": 3,
        },
        "zero_optimization.reduce_scatter",
        "must be false for Muon",
        "write false",
    ),
]


@pytest.mark.parametrize(("changes", "where", "rule", "fix"), CONTRADICTIONS)
def test_a_contradiction_is_reported(
    changes: dict[str, Any], where: str, rule: str, fix: str
) -> None:
    problem = only(check_all(changed(**changes)))
    assert problem.where == where
    assert rule in problem.rule
    assert fix in problem.fix


def test_a_pipeline_needs_zero_1_for_its_norm() -> None:
    problem = only(check_all(changed(zero_optimization__stage=0), pipeline_stages=2))
    assert (problem.where, problem.found) == ("zero_optimization.stage", 0)
    assert "norm" in problem.rule
    assert "set it to 1" in problem.fix


def test_half_precision_needs_zero_1_for_its_sums() -> None:
    problem = only(check_all(changed(zero_optimization__stage=0, bf16__enabled=True)))
    assert (problem.where, problem.found) == ("zero_optimization.stage", 0)
    assert "sums bf16 gradients without float32" in problem.rule


def test_float16_is_refused_on_a_cpu_only() -> None:
    config = changed(fp16__enabled=True)
    assert only(check_all(config, cpu=True)).where == "fp16.enabled"
    assert check_all(config, cpu=False) == []


def test_adagrad_under_zero_takes_no_weight_decay() -> None:
    params = {"lr": 1e-3, "weight_decay": 0.1}
    config = changed(optimizer={"type": "Adagrad", "params": params})
    assert only(check_all(config)).where == "optimizer.params.weight_decay"
    assert check_all({**config, "zero_optimization": {"stage": 0}}) == []


@pytest.mark.parametrize("stage", [2, 3])
def test_a_pipeline_takes_no_zero_above_stage_1(stage: int) -> None:
    problem = only(check_all(changed(zero_optimization__stage=stage), pipeline_stages=2))
    assert (problem.where, problem.found) == ("zero_optimization.stage", stage)
    assert "keeps whole gradients across micro-batches" in problem.rule
    assert problem.fix == "set it to 1, or give pipeline_stages=1"


def test_lamb_needs_whole_matrices_and_a_gpu() -> None:
    lamb = {"type": "Lamb", "params": {"lr": 0.1}}
    assert (
        only(check_all(changed(optimizer=lamb), cpu=False)).fix
        == "set zero_optimization.stage to 0"
    )
    assert check_all(changed(optimizer=lamb, zero_optimization__stage=0), cpu=False) == []
    problem = only(check_all(changed(optimizer=lamb, zero_optimization__stage=0)))
    assert (problem.where, problem.found) == ("optimizer.type", "Lamb")


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        (1, {}),
        (2, {"data_types__grad_accum_dtype": "fp32"}),
        (3, {"optimizer__params__torch_adam": True}),
        (2, ON_HOST),
        (2, {**ON_HOST, "bf16": LEAN_MASTERS}),
    ],
)
def test_masters_and_moments_may_be_of_16_bits(stage: int, more: dict[str, Any]) -> None:
    assert check_all(changed(**{"bf16": LEAN, "zero_optimization__stage": stage, **more})) == []


def test_a_gpu_may_do_what_a_cpu_may_not() -> None:
    config = changed(aio__use_gds=True, optimizer={"type": "Lion", "params": {"lr": 0.1}})
    assert check_all(config, cpu=False) == []


def test_an_optimizer_of_deepspeed_may_be_written_in_any_case() -> None:
    assert check_all(changed(optimizer__type="adamw")) == []


@pytest.mark.parametrize("name", ["SGD", "RMSprop"])
def test_an_untested_optimizer_may_be_allowed(name: str) -> None:
    optimizer = {"type": name, "params": {"lr": 0.1}}
    assert check_all(changed(optimizer=optimizer, zero_allow_untested_optimizer=True)) == []
    assert check_all(changed(optimizer=optimizer, zero_optimization__stage=0)) == []


def test_two_of_the_batch_sizes_suffice() -> None:
    names = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
    rest = {key: value for key, value in GOOD.items() if key not in names}
    for left_out in names:
        assert check_all({**rest, **{name: 2 for name in names if name != left_out}}) == []


def test_all_mistakes_are_reported_at_once() -> None:
    config = changed(
        gradient_cliping=1.0,
        zero_optimisation={"stage": 3},
        train_batch_size="8",
        scheduler={"type": "WarmupLR"},
        fp16={"enabled": True},
        bf16={"enabled": True},
        zero_optimization__stage=2,
        optimizer__params__lr="auto",
    )
    where = {problem.where for problem in check_all(config, pipeline_stages=2)}
    assert where == {
        "gradient_cliping",
        "zero_optimisation",
        "train_batch_size",
        "scheduler",
        "fp16.enabled",
        "zero_optimization.stage",
        "optimizer.params.lr",
    }


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "zero3_bf16.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        read_json(path)
    return str(error.value)


def test_a_missing_file_is_reported_with_one_of_a_near_name(tmp_path: Path) -> None:
    written(tmp_path, "{}")
    path = tmp_path / "zero3_bf61.json"
    assert refusal(path) == f"{path}: no such file; did you mean 'zero3_bf16.json'?"
    assert refusal(tmp_path / "none" / "a.json").endswith("a.json: no such file")


def test_a_comment_is_reported_with_its_line_and_column(tmp_path: Path) -> None:
    path = written(tmp_path, '{\n  "bf16": {},  // half\n}')
    assert refusal(path).startswith(f"{path}, line 2, column 16: is not JSON")
    assert "no comments" in refusal(path)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[1]", "must hold a JSON object"),
        (b"\xff\xfe", "is not UTF-8 text"),
        ('{"gradient_clipping": NaN}', "NaN is no JSON number"),
        ('{"a": 1, "a": 2}', ": a: is given twice in one block; keep one of the two"),
        ('{"a": {"b": 1, "b": 2}}', ": b: is given twice in one block; keep one of the two"),
    ],
)
def test_a_file_that_is_no_plain_object_is_refused(
    tmp_path: Path, text: str | bytes, rule: str
) -> None:
    path = written(tmp_path, text)
    assert refusal(path).startswith(str(path))
    assert rule in refusal(path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: is a directory"


def test_a_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_json(written(tmp_path, json.dumps(GOOD))) == GOOD


OPS = [
    ({}, []),
    ({"optimizer__params__torch_adam": False}, ["fused_adam"]),
    (
        {
            "optimizer__params__torch_adam": False,
            "zero_optimization__offload_optimizer": CPU_OFFLOAD,
        },
        ["cpu_adam"],
    ),
    ({"zero_optimization__offload_optimizer": CPU_OFFLOAD}, []),
    ({"optimizer": {"type": "Muon", "params": {"lr": 1.0}}}, ["fused_adam"]),
    ({"optimizer": {"type": "Adagrad", "params": {"lr": 1.0}}}, []),
    (
        {
            "optimizer": {"type": "Adagrad", "params": {"lr": 1.0}},
            "zero_optimization__offload_optimizer": CPU_OFFLOAD,
        },
        ["cpu_adagrad"],
    ),
    (
        {"zero_optimization__offload_param": {"device": "nvme", "nvme_path": "/n"}},
        ["async_io"],
    ),
]


@pytest.mark.parametrize(("changes", "ops"), OPS)
def test_the_ops_to_compile_are_known_before_the_start(
    changes: dict[str, Any], ops: list[str]
) -> None:
    assert compiled_ops(changed(**changes), cpu=True) == ops


def test_ops_for_a_gpu_are_not_compiled_on_a_cpu() -> None:
    config = changed(optimizer={"type": "Lion", "params": {"lr": 0.1}})
    assert compiled_ops(config, cpu=False) == ["fused_lion"]
    assert compiled_ops(config, cpu=True) == []


def test_the_check_imports_nothing_heavy() -> None:
    code = (
        "import sys, dslm.parallel.deepspeed_json.check; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'deepspeed', 'numpy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
