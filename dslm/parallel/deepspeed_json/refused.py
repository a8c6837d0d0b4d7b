"""The keys that DeepSpeed's JSON has or had and that dslm does not accept, each with the reason.

Five reasons: the key was removed from DeepSpeed, it has a new name, dslm owns what it sets (a
second home for a value, or a source of history in a run that has none), it asks for something that
dslm does not drive, or nothing reads it in a run of dslm, so that it would be ignored in silence.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """Why a key cannot be used, and what to do instead."""

    rule: str
    fix: str = "delete it"


def _removed(fix: str = "delete it") -> Refusal:
    return Refusal("was removed from DeepSpeed", fix)


def _renamed(name: str) -> Refusal:
    return Refusal("is an old name", f"write {name}")


def _foreign(what: str) -> Refusal:
    return Refusal(f"dslm does not drive {what}")


_CHECKPOINT = Refusal(
    "dslm writes checkpoints that any layout can load, and never calls DeepSpeed's writer"
)
_NO_EFFECT = Refusal("has no effect: DeepSpeed does not read it")

REFUSED: dict[str, Refusal] = {
    "nebula": _removed("delete it: dslm writes its own checkpoints"),
    "compression_training": _removed("delete it: dslm quantizes by itself"),
    "quantize_training": _removed("delete it: dslm quantizes by itself"),
    "amp": _removed('write "bf16": {"enabled": true}'),
    "sparse_gradients": _removed(),
    "sparse_attention": _removed(),
    "eigenvalue": _removed(),
    "elasticity": _removed("delete it: a dslm run resumes at any world size"),
    "graph_harvesting": _removed(),
    "curriculum_learning": _removed("delete it: dslm computes the order of samples"),
    "progressive_layer_drop": _removed(),
    "zero_optimization.mics_shard_size": _removed(),
    "zero_optimization.mics_hierarchical_params_gather": _removed(),
    "zero_optimization.zeropp_loco_param": _removed(),
    "zero_optimization.legacy_stage1": _removed(),
    "bfloat16": _renamed('"bf16"'),
    "zero_optimization.cpu_offload": _renamed(
        '"offload_optimizer": {"device": "cpu"} in zero_optimization'
    ),
    "zero_optimization.cpu_offload_param": _renamed(
        '"offload_param": {"device": "cpu"} in zero_optimization'
    ),
    "zero_optimization.cpu_offload_use_pin_memory": _renamed(
        '"pin_memory" in zero_optimization.offload_optimizer'
    ),
    **{
        f"zero_optimization.{name}": _CHECKPOINT
        for name in (
            "stage3_gather_fp16_weights_on_model_save",
            "stage3_gather_16bit_weights_on_model_save",
            "gather_16bit_weights_on_model_save",
            "load_from_fp32_weights",
            "elastic_checkpoint",
            "pipeline_loading_checkpoint",
        )
    },
    "zero_optimization.save_muon_momentum_buffer_in_memory": Refusal(
        "keeps Muon's momentum where dslm's checkpoints do not look for it"
    ),
    "zero_optimization.zero_quantized_nontrainable_weights": Refusal(
        "has no effect: every weight is trained"
    ),
    "zero_optimization.allgather_partitions": _NO_EFFECT,
    "disable_allgather": _NO_EFFECT,
    "vocabulary_size": _NO_EFFECT,
    "dataloader_drop_last": Refusal(
        "has no effect: dslm makes the batches, and every one of them is full"
    ),
    "optimizer.legacy_fusion": Refusal(
        "has no effect: it is for float16 without ZeRO, where DeepSpeed's sums are not float32"
    ),
    "activation_checkpointing": Refusal(
        "has no effect: dslm does not call DeepSpeed's checkpointing of activations",
        "delete it and give model.recompute=true on the command line",
    ),
    "compile": Refusal(
        "has no effect: dslm never calls DeepSpeed's engine.compile()",
        "delete it and give compile=true on the command line",
    ),
    **{
        f"pipeline.{name}": Refusal("dslm sends what stages exchange whole")
        for name in ("pipe_partitioned", "grad_partitioned")
    },
    "optimizer.params.max_grad_norm": _renamed('"gradient_clipping" at the top level'),
    "scheduler": Refusal(
        "dslm owns the schedule, a function of the step alone (DeepSpeed's keep history)",
        "delete it and give schedule.kind=… on the command line",
    ),
    "data_efficiency": Refusal(
        "dslm owns the order of samples, a function of the step alone (DeepSpeed's keeps history)"
    ),
    "checkpoint": _CHECKPOINT,
    "datastates_ckpt": _CHECKPOINT,
    "managed_gradient_accumulation": Refusal(
        "dslm leaves it to DeepSpeed to count the micro-batches of a step"
    ),
    "zero_optimization.compute_grad_norm": Refusal("dslm records the gradient norm of every step"),
    "zero_optimization.zenflow": Refusal(
        "applies part of each gradient late, so that the loss would depend on the layout",
        'delete it: "offload_optimizer" alone keeps the losses',
    ),
    "pipeline.stages": Refusal(
        "is not read by DeepSpeed", "delete it and give pipeline_stages=… on the command line"
    ),
    "pipeline.partition": Refusal("is not read by DeepSpeed"),
    "pipeline.seed_layers": Refusal("is not read by DeepSpeed: dslm seeds every layer itself"),
    "tensor_parallel": Refusal(
        "replaces layers, and hangs in a pipeline: dslm cuts them itself",
        "delete it and give tensor_parallel=… on the command line",
    ),
    **dict.fromkeys(
        ("expert_parallel", "use_data_before_expert_parallelism"),
        Refusal(
            "is for models of transformers: dslm shares experts itself",
            "delete it and give expert_parallel=… on the command line",
        ),
    ),
    "sequence_parallel_size": Refusal(
        "is not read by DeepSpeed", "delete it and give sequence_parallel=… on the command line"
    ),
    "data_parallel_size": _foreign("sequence parallelism"),
    "seq_parallel_communication_data_type": _foreign("sequence parallelism"),
    "hybrid_engine": _foreign("DeepSpeed's generation during training"),
    "autotuning": _foreign("DeepSpeed's autotuner"),
    "weight_quantization": _foreign("DeepSpeed's inference quantization"),
}
"""The full path of each key."""
