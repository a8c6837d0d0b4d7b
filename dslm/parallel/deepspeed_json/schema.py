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
    **_flags("gather_16bit_weights_on_model_save use_all_reduce_for_fetch_params"),
    "allgather_sequential": FLAG,
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
    **_flags("allgather_partitions load_from_fp32_weights elastic_checkpoint"),
    **_flags("ignore_unused_parameters round_robin_gradients parameter_alignment"),
    **_flags("zero_quantized_weights zero_quantized_nontrainable_weights"),
    **_flags("zero_quantized_gradients memory_efficient_linear pipeline_loading_checkpoint"),
    **_flags("override_module_apply log_trace_cache_warnings enable_sanity_checks"),
    **_flags("save_muon_momentum_buffer_in_memory"),
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

_COMPILE: Block = {
    **_flags("deepcompile autoep_non_moe free_activation offload_activation offload_opt_states"),
    **_flags("offload_activation_pin_memory double_buffer symmetric_memory debug_log"),
    **_flags("offload_parameters sync_before_reduce sync_after_reduce sync_before_allgather"),
    **_flags("sync_after_allgather keep_int_input_tensors keep_all_input_tensors"),
    "free_activation_threshold": ELEMENTS,
    "passes": value_type(list[Literal["z1", "z3", "autosp", "autotp"]] | None),
}

_MEMORY: Block = {
    "activation_checkpointing": {
        **_flags("partition_activations contiguous_memory_optimization cpu_checkpointing"),
        **_flags("profile synchronize_checkpoint_boundary"),
        "number_checkpoints": COUNT_OR_NULL,
    },
    "pipeline": {
        "activation_checkpoint_interval": INDEX,
        **_flags("pipe_partitioned grad_partitioned use_reentrant"),
    },
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

OPTIMIZER: Block = {"type": TEXT, "params": {}, "legacy_fusion": FLAG}
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
    "vocabulary_size": COUNT_OR_NULL,
    **_flags("zero_allow_untested_optimizer zero_force_ds_cpu_optimizer prescale_gradients"),
    **_flags("disable_allgather disable_python_gc dataloader_drop_last"),
    **_PRECISION,
    **_MEMORY,
    **_SCREENS,
    "compile": _COMPILE,
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
