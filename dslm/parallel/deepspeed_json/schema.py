"""The keys of DeepSpeed 0.19.8's JSON, as data: what each may hold.

`KNOWN` nests like the JSON itself. A key that is not in it is either in `refused`, which says why
and what to do instead, or a mistake. The tests hold both against the installed
DeepSpeed, so that a new release shows what it changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

from dslm.parallel.deepspeed_json.value import (
    Either,
    Flag,
    Many,
    Number,
    OneOf,
    Text,
    ValueType,
    nullable,
)

Block = dict[str, Union["ValueType", "Block"]]

FLAG = Flag()
TEXT = Text()
NAMES = Many(of=TEXT)
COUNT = Number(whole=True, least=1)
NUMBER = Number(least=0)
SHARE = Number(least=0, most=1)
ELEMENTS = Number(whole=True, exponent=True, least=0)
DTYPE = OneOf(options=("fp32", "fp16", "bf16"))
AUTO = OneOf(options=("auto",))

_OFFLOAD: Block = {
    "device": OneOf(options=("none", "cpu", "nvme")),
    "nvme_path": nullable(TEXT),
    "buffer_count": ELEMENTS,
    "pin_memory": FLAG,
}

_STAGE3: Block = {
    "prefetch_bucket_size": ELEMENTS,
    "param_persistence_threshold": ELEMENTS,
    "model_persistence_threshold": ELEMENTS,
    "max_live_parameters": ELEMENTS,
    "max_reuse_distance": ELEMENTS,
    "gather_16bit_weights_on_model_save": FLAG,
    "module_granularity_threshold": ELEMENTS,
    "use_all_reduce_for_fetch_params": FLAG,
    "allgather_sequential": FLAG,
}

_ZERO: Block = {
    "stage": Number(whole=True, least=0, most=3),
    "contiguous_gradients": FLAG,
    "reduce_scatter": FLAG,
    "reduce_bucket_size": Number(whole=True, exponent=True, least=1),
    "use_multi_rank_bucket_allreduce": FLAG,
    "allgather_partitions": FLAG,
    "allgather_bucket_size": ELEMENTS,
    "overlap_comm": nullable(FLAG),
    "load_from_fp32_weights": FLAG,
    "elastic_checkpoint": FLAG,
    "offload_param": {**_OFFLOAD, "buffer_size": ELEMENTS, "max_in_cpu": ELEMENTS},
    "offload_optimizer": {
        **_OFFLOAD,
        "pipeline_read": FLAG,
        "pipeline_write": FLAG,
        "fast_init": FLAG,
        "ratio": SHARE,
        "super_offload": FLAG,
        "cpuadam_cores_perc": SHARE,
    },
    "sub_group_size": ELEMENTS,
    **_STAGE3,
    **{f"stage3_{name}": kind for name, kind in _STAGE3.items()},
    "ignore_unused_parameters": FLAG,
    "round_robin_gradients": FLAG,
    "parameter_alignment": FLAG,
    "zero_hpz_partition_size": ELEMENTS,
    "zero_quantized_weights": FLAG,
    "zero_quantized_nontrainable_weights": FLAG,
    "zero_quantized_gradients": FLAG,
    "memory_efficient_linear": FLAG,
    "pipeline_loading_checkpoint": FLAG,
    "override_module_apply": FLAG,
    "log_trace_cache_warnings": FLAG,
    "enable_sanity_checks": FLAG,
    "save_muon_momentum_buffer_in_memory": FLAG,
    "leaf_module": {"classes": NAMES, "names": NAMES, "name_suffixes": NAMES},
}

_PRECISION: Block = {
    "fp16": {
        "enabled": FLAG,
        "auto_cast": FLAG,
        "loss_scale": NUMBER,
        "initial_scale_power": Number(whole=True, least=0),
        "loss_scale_window": COUNT,
        "hysteresis": COUNT,
        "consecutive_hysteresis": FLAG,
        "min_loss_scale": COUNT,
        "fp16_master_weights_and_grads": FLAG,
    },
    "bf16": {
        "enabled": FLAG,
        "immediate_grad_update": FLAG,
        "check_grad_overflow": FLAG,
        "bf16_master_weights_and_grads": FLAG,
        "bf16_optimizer_states": FLAG,
    },
    "torch_autocast": {
        "enabled": FLAG,
        "dtype": OneOf(options=("bfloat16", "float16", "bf16", "fp16")),
        "lower_precision_safe_modules": NAMES,
    },
    "data_types": {
        "grad_accum_dtype": DTYPE,
        "param_dtype": DTYPE,
        "buffer_dtype": DTYPE,
        "keep_in_fp32_modules": Either(first=AUTO, second=NAMES),
    },
}

_COMPILE: Block = {
    "deepcompile": FLAG,
    "autoep_non_moe": FLAG,
    "free_activation": FLAG,
    "free_activation_threshold": ELEMENTS,
    "offload_activation": FLAG,
    "offload_activation_pin_memory": FLAG,
    "offload_opt_states": FLAG,
    "double_buffer": FLAG,
    "symmetric_memory": FLAG,
    "debug_log": FLAG,
    "offload_parameters": FLAG,
    "sync_before_reduce": FLAG,
    "sync_after_reduce": FLAG,
    "sync_before_allgather": FLAG,
    "sync_after_allgather": FLAG,
    "keep_int_input_tensors": FLAG,
    "keep_all_input_tensors": FLAG,
    "passes": nullable(Many(of=OneOf(options=("z1", "z3", "autosp", "autotp")))),
}

_MEMORY: Block = {
    "activation_checkpointing": {
        "partition_activations": FLAG,
        "number_checkpoints": nullable(COUNT),
        "contiguous_memory_optimization": FLAG,
        "cpu_checkpointing": FLAG,
        "profile": FLAG,
        "synchronize_checkpoint_boundary": FLAG,
    },
    "pipeline": {
        "activation_checkpoint_interval": Number(whole=True, least=0),
        "pipe_partitioned": FLAG,
        "grad_partitioned": FLAG,
        "use_reentrant": FLAG,
    },
    "aio": {
        "block_size": COUNT,
        "queue_depth": COUNT,
        "intra_op_parallelism": COUNT,
        "single_submit": FLAG,
        "overlap_events": FLAG,
        "use_gds": FLAG,
    },
}

_FILES: Block = {"enabled": FLAG, "output_path": TEXT, "job_name": TEXT}

_SCREENS: Block = {
    "tensorboard": _FILES,
    "csv_monitor": _FILES,
    "wandb": {
        "enabled": FLAG,
        "group": nullable(TEXT),
        "team": nullable(TEXT),
        "project": TEXT,
    },
    "comet": {
        "enabled": FLAG,
        "samples_log_interval": COUNT,
        "project": nullable(TEXT),
        "workspace": nullable(TEXT),
        "api_key": nullable(TEXT),
        "experiment_name": nullable(TEXT),
        "experiment_key": nullable(TEXT),
        "online": nullable(FLAG),
        "mode": nullable(OneOf(options=("get", "create", "get_or_create"))),
    },
    "flops_profiler": {
        "enabled": FLAG,
        "recompute_fwd_factor": NUMBER,
        "profile_step": COUNT,
        "module_depth": Number(whole=True, least=-1),
        "top_modules": COUNT,
        "detailed": FLAG,
        "output_file": nullable(TEXT),
    },
    "comms_logger": {
        "enabled": FLAG,
        "verbose": FLAG,
        "prof_all": FLAG,
        "debug": FLAG,
        "prof_ops": NAMES,
    },
    "timers": {"throughput": {"enabled": FLAG, "synchronized": FLAG}},
    "log_level": OneOf(options=("debug", "info", "warning", "error", "critical")),
    "steps_per_print": nullable(COUNT),
    "wall_clock_breakdown": FLAG,
    "memory_breakdown": FLAG,
    "dump_state": FLAG,
}

OPTIMIZER: Block = {"type": TEXT, "params": {}, "legacy_fusion": FLAG}
"""Its ``params`` depend on its ``type``: see `dslm.parallel.deepspeed_json.optimizer`."""

KNOWN: Block = {
    "train_batch_size": COUNT,
    "train_micro_batch_size_per_gpu": COUNT,
    "gradient_accumulation_steps": COUNT,
    "optimizer": OPTIMIZER,
    "zero_optimization": _ZERO,
    "zero_allow_untested_optimizer": FLAG,
    "zero_force_ds_cpu_optimizer": FLAG,
    "gradient_clipping": NUMBER,
    "prescale_gradients": FLAG,
    "gradient_predivide_factor": Number(above=0),
    "gradient_allreduce_op": OneOf(options=("mean", "sum")),
    "communication_data_type": nullable(DTYPE),
    "disable_allgather": FLAG,
    "disable_python_gc": FLAG,
    "dataloader_drop_last": FLAG,
    "vocabulary_size": nullable(COUNT),
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
        default: DeepSpeed's value when the key is not there.

    Returns:
        The value; None when it is one that the key may not hold, which is told elsewhere.
    """
    found: Any = config
    kind: Any = KNOWN
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        if name not in found:
            return default
        found, kind = found[name], kind[name]
    if isinstance(kind, ValueType):
        return found if kind.accepts(found) else None
    return found if isinstance(found, Mapping) else None
