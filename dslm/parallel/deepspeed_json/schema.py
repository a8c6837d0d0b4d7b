"""The keys of DeepSpeed 0.19.8's JSON, as data: what each may hold.

`KNOWN` nests like the JSON itself. A key that is not in it is either in `refused`, which says why
and what to do instead, or a mistake. The tests hold both against the installed
DeepSpeed, so that a new release shows what it changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from pydantic import Field, TypeAdapter

from dslm.parallel.deepspeed_json.value import accepts, value_type

Block = dict[str, Union[TypeAdapter[Any], "Block"]]

FLAG = value_type(bool)
FLAG_OR_NULL = value_type(bool | None)
TEXT = value_type(str)
TEXT_OR_NULL = value_type(str | None)
NAMES = value_type(list[str])
INDEX = value_type(Annotated[int, Field(ge=0)])
COUNT = value_type(Annotated[int, Field(ge=1)])
COUNT_OR_NULL = value_type(Annotated[int, Field(ge=1)] | None)
NUMBER = value_type(Annotated[float, Field(ge=0)])
SHARE = value_type(Annotated[float, Field(ge=0, le=1)])
ELEMENTS = value_type(Annotated[float, Field(ge=0, multiple_of=1)])
"""A whole number that may be written as 5e8, which JSON reads as a fraction."""

DTYPE = Literal["fp32", "fp16", "bf16"]


def _flags(names: str) -> Block:
    return dict.fromkeys(names.split(), FLAG)


_OFFLOAD: Block = {
    "device": value_type(Literal["none", "cpu", "nvme"]),
    "nvme_path": TEXT_OR_NULL,
    "buffer_count": ELEMENTS,
    "pin_memory": FLAG,
}

_STAGE3: Block = {
    "prefetch_bucket_size": ELEMENTS,
    "param_persistence_threshold": ELEMENTS,
    "model_persistence_threshold": ELEMENTS,
    "max_live_parameters": ELEMENTS,
    "max_reuse_distance": ELEMENTS,
    "module_granularity_threshold": ELEMENTS,
    **_flags("use_all_reduce_for_fetch_params allgather_sequential"),
}

_ZERO: Block = {
    "stage": value_type(Annotated[int, Field(ge=0, le=3)]),
    "reduce_bucket_size": value_type(Annotated[float, Field(ge=1, multiple_of=1)]),
    "allgather_bucket_size": ELEMENTS,
    "overlap_comm": FLAG_OR_NULL,
    "offload_param": {**_OFFLOAD, "buffer_size": ELEMENTS, "max_in_cpu": ELEMENTS},
    "offload_optimizer": {
        **_OFFLOAD,
        **_flags("pipeline_read pipeline_write fast_init super_offload"),
        "ratio": SHARE,
        "cpuadam_cores_perc": SHARE,
    },
    "sub_group_size": ELEMENTS,
    **_STAGE3,
    **{f"stage3_{name}": kind for name, kind in _STAGE3.items()},
    "zero_hpz_partition_size": ELEMENTS,
    "leaf_module": {"classes": NAMES, "names": NAMES, "name_suffixes": NAMES},
    **_flags("contiguous_gradients reduce_scatter use_multi_rank_bucket_allreduce"),
    **_flags("ignore_unused_parameters round_robin_gradients parameter_alignment"),
    **_flags("zero_quantized_weights zero_quantized_gradients memory_efficient_linear"),
    **_flags("override_module_apply log_trace_cache_warnings enable_sanity_checks"),
}

_PRECISION: Block = {
    "fp16": {
        **_flags("enabled auto_cast consecutive_hysteresis fp16_master_weights_and_grads"),
        "loss_scale": NUMBER,
        "initial_scale_power": INDEX,
        "loss_scale_window": COUNT,
        "hysteresis": COUNT,
        "min_loss_scale": COUNT,
    },
    "bf16": {
        **_flags("enabled immediate_grad_update check_grad_overflow bf16_optimizer_states"),
        "bf16_master_weights_and_grads": FLAG,
    },
    "torch_autocast": {
        "enabled": FLAG,
        "dtype": value_type(Literal["bfloat16", "float16", "bf16", "fp16"]),
        "lower_precision_safe_modules": NAMES,
    },
    "data_types": {
        **dict.fromkeys(("grad_accum_dtype", "param_dtype", "buffer_dtype"), value_type(DTYPE)),
        "keep_in_fp32_modules": value_type(Literal["auto"] | list[str]),
    },
}

_MEMORY: Block = {
    "pipeline": {"activation_checkpoint_interval": INDEX, "use_reentrant": FLAG},
    "aio": {
        **dict.fromkeys(("block_size", "queue_depth", "intra_op_parallelism"), COUNT),
        **_flags("single_submit overlap_events use_gds"),
    },
}

_FILES: Block = {"enabled": FLAG, "output_path": TEXT, "job_name": TEXT}

_SCREENS: Block = {
    "tensorboard": _FILES,
    "csv_monitor": _FILES,
    "wandb": {
        "enabled": FLAG,
        "group": TEXT_OR_NULL,
        "team": TEXT_OR_NULL,
        "project": TEXT,
    },
    "comet": {
        "enabled": FLAG,
        "samples_log_interval": COUNT,
        **dict.fromkeys(("project", "workspace", "api_key"), TEXT_OR_NULL),
        **dict.fromkeys(("experiment_name", "experiment_key"), TEXT_OR_NULL),
        "online": FLAG_OR_NULL,
        "mode": value_type(Literal["get", "create", "get_or_create"] | None),
    },
    "flops_profiler": {
        "enabled": FLAG,
        "recompute_fwd_factor": NUMBER,
        "profile_step": COUNT,
        "module_depth": value_type(Annotated[int, Field(ge=-1)]),
        "top_modules": COUNT,
        "detailed": FLAG,
        "output_file": TEXT_OR_NULL,
    },
    "comms_logger": {**_flags("enabled verbose prof_all debug"), "prof_ops": NAMES},
    "timers": {"throughput": _flags("enabled synchronized")},
    "log_level": value_type(Literal["debug", "info", "warning", "error", "critical"]),
    "steps_per_print": COUNT_OR_NULL,
    **_flags("wall_clock_breakdown memory_breakdown dump_state"),
}

OPTIMIZER: Block = {"type": TEXT, "params": {}}
"""Its ``params`` depend on its ``type``: see `dslm.parallel.deepspeed_json.optimizer`."""

KNOWN: Block = {
    "train_batch_size": COUNT,
    "train_micro_batch_size_per_gpu": COUNT,
    "gradient_accumulation_steps": COUNT,
    "optimizer": OPTIMIZER,
    "zero_optimization": _ZERO,
    "gradient_clipping": NUMBER,
    "gradient_predivide_factor": value_type(Annotated[float, Field(gt=0)]),
    "gradient_allreduce_op": value_type(Literal["mean", "sum"]),
    "communication_data_type": value_type(DTYPE | None),
    **_flags("zero_allow_untested_optimizer zero_force_ds_cpu_optimizer prescale_gradients"),
    "disable_python_gc": FLAG,
    **_PRECISION,
    **_MEMORY,
    **_SCREENS,
}
"""Everything that a file may hold."""


def given(config: Mapping[str, Any], path: str, default: Any) -> Any:
    """What a file says at a path, for checks that look at several keys.

    Args:
        config: what was read; it may hold mistakes.
        path: a key of `KNOWN`, such as ``zero_optimization.stage``.
        default: DeepSpeed's value when the key is absent.

    Returns:
        The value; None when the key may not hold it, which is reported elsewhere.
    """
    found: Any = config
    kind: Any = KNOWN
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        if name not in found:
            return default
        found, kind = found[name], kind[name]
    valid = isinstance(found, Mapping) if isinstance(kind, dict) else accepts(kind, found)
    return found if valid else None
