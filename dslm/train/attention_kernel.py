"""Which kernel will compute attention, by the rule of `dslm.model.visibility.attend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dslm.environment import World
from dslm.model.config import ModelConfig
from dslm.parallel.deepspeed_json.precision import halves
from dslm.parallel.deepspeed_json.schema import given
from dslm.parallel.world import device
from dslm.train.prepare import Job

if TYPE_CHECKING:
    import torch

NAMES = {
    "MATH": "torch's plain products, not fused",
    "FLASH_ATTENTION": "FlashAttention",
    "EFFICIENT_ATTENTION": "torch's memory-efficient kernel",
    "CUDNN_ATTENTION": "cuDNN's fused kernel",
}
"""What torch's backends are called."""


def attention_kernel(job: Job, world: World) -> str | None:
    """Words for it; `None` where there is no attention, or that which torch fuses on any CPU."""
    model, numbered = job.config.model, "visibility" in job.objective.extras
    if model.recurrent:
        return None
    plain = model.positions != "relative" and model.attention_scale
    if world.cpu:
        return "step by step, as weights of it are dropped" if model.dropout else None
    import torch

    from dslm.model.visibility import NARROWEST

    if plain and model.key_width >= NARROWEST and (numbered or model.dropout):
        return "by FlexAttention, compiled in the first step"
    if model.dropout:
        return "step by step, as weights of it are dropped"
    half = torch.float16 if given(job.deepspeed, "fp16.enabled", False) else torch.bfloat16
    dtype = half if halves(job.deepspeed) else torch.float32
    return chosen_by_torch(model, dtype, device(world), masked=numbered or not plain)


def chosen_by_torch(model: ModelConfig, dtype: torch.dtype, device: str, masked: bool) -> str:
    """The backend that torch takes for a shape.

    Args:
        model: the shape.
        dtype: of queries, keys and values.
        device: torch's name of it.
        masked: whether a mask or numbers are added to the scores.
    """
    import torch
    from torch.nn.attention import SDPBackend

    def made(heads: int) -> torch.Tensor:
        shape = 1, heads, model.sequence, model.key_width
        return torch.zeros(shape, dtype=dtype, device=device, requires_grad=True)

    length, groups = model.sequence, model.query_groups
    mask = torch.zeros(length, length, dtype=dtype, device=device) if masked else None
    chosen = torch._fused_sdp_choice(
        made(model.heads or 1),
        made(groups),
        made(groups),
        attn_mask=mask,
        is_causal=model.attention == "causal" and not masked,
        enable_gqa=groups != model.heads,
    )
    return f"by {NAMES.get(SDPBackend(chosen).name, SDPBackend(chosen).name)}"
