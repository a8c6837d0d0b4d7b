"""Muon (Jordan et al. 2024): which matrices it orthogonalizes, and its momentum under ZeRO-1 and 2.

A weight may hold several matrices, one under the other: queries, keys and values, the gate of a
SwiGLU and what it gates. Each is a linear map of its own and is orthogonalized alone. DeepSpeed
knows weights only, and hands to `muon_update` nothing but a gradient, so its shape says which.

An update needs whole matrices, so under ZeRO-1 and 2 a rank keeps the momentum of every weight that
its piece touches, whole, one after the other in one flat buffer; a weight cut by the border between
two ranks is on both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dslm.errors import Problem
from dslm.model.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor, nn


def check_matrices(optimizer: str | None, model: ModelConfig) -> list[Problem]:
    """Whether the shape of a weight says which matrices it holds.

    Args:
        optimizer: a key of `OPTIMIZERS`.
        model: the shape of the model.
    """
    if optimizer != "Muon" or model.recurrent:
        return []
    if model.experts:
        rule = "does not go with Muon, which orthogonalizes single matrices"
        return [Problem("model.experts", model.experts, rule, "use AdamW")]
    known: dict[tuple[int, int], tuple[str, tuple[int, ...]]] = {}
    for name, rows, inputs in _matrices(model):
        other, others = known.setdefault((sum(rows), inputs), (name, rows))
        if rows == others:
            continue
        rule = (
            f"makes the {sum(rows):,} × {inputs:,} numbers of {name} as many as those of {other}, "
            "and Muon tells them apart by their shape"
        )
        key, value, fix = "model.key_value_heads", model.query_groups, "another number"
        if "feed-forward" in name:
            key, value, fix = "model.feed_forward", model.inner_width, f"{model.inner_width + 8}"
        return [Problem(key, value, rule, f"use {fix}, or another optimizer")]
    return []


def _matrices(model: ModelConfig) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """The weights of a block: what each is, the rows of its matrices, and the inputs."""
    width, inner = model.width, model.inner_width
    queries, groups = model.query_width, model.group_width
    yield "queries, keys and values", (queries, groups, groups), width
    yield "what attention gives", (width,), queries
    if model.encoder_layers:
        yield "keys and values of a source", (groups, groups), width
        yield "queries to a source", (queries,), width
    yield "the feed-forward layer's first map", (inner,) * (2 if model.gated else 1), width
    yield "the feed-forward layer's second map", (width,), inner


def orthogonalize_apart(model: nn.Module) -> None:
    """Make DeepSpeed's Muon treat every matrix of the model by itself.

    Args:
        model: as DeepSpeed trains it, on any stage of a pipeline.
    """
    import torch
    from deepspeed.runtime.zero.muon import muon_optimizer, original_muon

    from dslm.model.layers import stacked_rows

    rows_of = {
        tuple(getattr(weight, "ds_shape", weight.shape)): rows
        for weight, rows in stacked_rows(model)
    }
    update = getattr(original_muon.muon_update, "whole", original_muon.muon_update)

    def update_each(grad: Tensor, momentum: Tensor, *args: Any, **more: Any) -> Tensor:
        rows = list(rows_of.get(tuple(grad.shape), (len(grad),)))
        # A gradient that overflowed anywhere leaves all of the momentum as it is, as one would.
        grad = torch.where(torch.isfinite(grad).all(), grad, torch.nan)
        parts = zip(torch.split(grad, rows), torch.split(momentum, rows), strict=True)
        return torch.cat([update(part, kept, *args, **more) for part, kept in parts])

    update_each.whole = update  # type: ignore[attr-defined]
    original_muon.muon_update = muon_optimizer.muon_update = update_each


def momentum(optimizer: Any, parameter: nn.Parameter) -> Tensor | None:
    """This rank's copy of a matrix's momentum, to be read or written; `None` if it keeps none.

    Args:
        optimizer: DeepSpeed's ZeRO-1/2 optimizer around Muon.
        parameter: a matrix that Muon updates.
    """
    for group, kept in enumerate(optimizer.params_in_partition):
        start = 0
        for other in kept:
            if other is parameter:
                piece = optimizer.single_partition_of_fp32_groups[group]
                buffer: Tensor = optimizer.optimizer.state[piece]["momentum_buffer"]
                return buffer.narrow(0, start, other.numel()).view_as(other)
            start += other.numel()
    return None


def gather(optimizer: Any, parameter: nn.Parameter) -> Tensor:
    """The momentum of a matrix in float32 on every rank; all must call this."""
    import torch

    own = momentum(optimizer, parameter)
    total = torch.zeros(parameter.numel() + 1, device=parameter.device)
    if own is not None:
        total[:-1], total[-1] = own.flatten(), 1.0
    torch.distributed.all_reduce(total, group=parameter._dp_group)  # type: ignore[attr-defined]
    return (total[:-1] / total[-1]).view_as(parameter)
