"""The memory that one rank will need, estimated before anything is allocated.

Weights, gradients and optimizer after Rajbhandari et al. 2020 (ZeRO, section 3), activations after
Korthikanti et al. 2022 (equation 2, without the attention matrix that fused attention never forms).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dslm.model.config import ModelConfig
from dslm.model.counts import block_count, parameter_count
from dslm.parallel.deepspeed_json.optimizer import moments
from dslm.parallel.plan import Plan

RECURRENT = {"lstm": 39, "gru": 19}
"""Bytes at 16 bits that a recurrent block keeps of a token for each unit of its width: its input,
normalized too, the gates and states of every token, its output. Measured on torch's CPU kernels;
the LSTM's keeps some of it twice."""


@dataclass(frozen=True)
class Memory:
    """Bytes on the fullest rank; what is offloaded counts to the host."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    host: float

    @property
    def device(self) -> float:
        """Bytes on the device (the GPU, or main memory where there is none)."""
        return self.weights + self.gradients + self.optimizer + self.activations


def estimate(model: ModelConfig, plan: Plan, config: Mapping[str, Any]) -> Memory:
    """Estimate the bytes a rank will hold at its fullest.

    Args:
        model: shape, the vocabulary filled in.
        plan: the layout.
        config: DeepSpeed's JSON.
    """
    zero = config.get("zero_optimization", {})
    half = any(config.get(kind, {}).get("enabled") for kind in ("bf16", "fp16"))
    count = _weights_on_a_stage(model, plan)
    parts = [1.0 if plan.zero_stage < stage else 1 / plan.replicas for stage in (1, 2, 3)]
    kept = 4 * len(moments(config, is_matrix=True))
    optimizer = count * parts[0] * (kept + (4 if half else 0))
    gradients = count * parts[1] * (2 if half and plan.zero_stage >= 2 else 4)
    weights = count * parts[2] * (2 if half else 4)
    host = 0.0
    if _offloaded(zero, "offload_optimizer"):
        optimizer, host = 0.0, optimizer
    if _offloaded(zero, "offload_param"):
        weights, host = 0.0, host + weights
    return Memory(weights, gradients, optimizer, _activations(model, plan, half), host)


def _weights_on_a_stage(model: ModelConfig, plan: Plan) -> float:
    """Weights of the fullest pipeline stage: its blocks and the embedding or head."""
    blocks = block_count(model) * model.blocks
    outside = parameter_count(model) - blocks
    if plan.pipeline_stages == 1:
        return blocks + outside
    own = outside if model.tied else outside - model.size * model.width
    return -(-model.blocks // plan.pipeline_stages) * block_count(model) + own


def _activations(model: ModelConfig, plan: Plan, half: bool) -> float:
    """Bytes kept for the backward pass by the micro-batches in flight."""
    tokens = plan.micro_batch * plan.sequence
    size = 1 if half else 2  # the paper's constants are bytes at 16 bits
    layers = -(-model.blocks // plan.pipeline_stages)
    whole = tokens * _kept_by_a_block(model) * size
    kept = layers * tokens * 2 * model.width * size + whole if model.recompute else layers * whole
    in_flight = min(plan.pipeline_stages, plan.accumulation)
    return kept * in_flight + 2 * tokens * model.size * size


def _kept_by_a_block(model: ModelConfig) -> int:
    """Bytes at 16 bits that one block keeps of a token."""
    if model.recurrent:
        return RECURRENT[model.block] * model.width
    inner = 4 * model.inner_width * (3 if model.activation == "swiglu" else 2)
    return 18 * model.width + inner


def _offloaded(zero: Mapping[str, Any], block: str) -> bool:
    return bool(zero.get(block, {}).get("device", "none") != "none")
