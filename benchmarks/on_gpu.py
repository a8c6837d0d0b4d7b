"""A GPU's steps against `transformers`, and attention within documents against a mask.

The comparisons of `model_speed` and `masked_speed` at shapes that fill a GPU, and FlexAttention,
which our blocks use there for documents packed into rows, beside the attention that takes a mask of
all pairs of tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import masked_speed
import model_speed
import torch
from measure import Contender, Options, Row, Table, alternate, slowdown, speedup, timed
from torch import Tensor, nn

from dslm.model.visibility import attend, sees

ROUNDS, STEPS = 7, 4
"""Rounds of a comparison, and steps a round."""
PRECISIONS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
CAUSAL = (16, 1024)
"""Rows and tokens a row of GPT-2 small."""
MASKED = ((64, 128), (16, 512))
"""The same of BERT-base."""
DOCUMENTS = ((16, 1024), (8, 4096))
"""The same of the rows of documents, each of 32 to 511 tokens."""
HEADS, PART = 12, 64
Mix = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def measure(options: Options) -> Table:
    """Time steps and attention on the first GPU."""
    rows = [_causal(dtype) for dtype in PRECISIONS]
    rows += [_masked(dtype, *size) for size in MASKED for dtype in PRECISIONS]
    rows += [row for size in DOCUMENTS for row in _documents(*size)]
    setting = (
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}; whole steps are a plain loop "
        "with fused AdamW and clipping, all weights in the type named, nothing compiled; "
        f"float32 without TF32; median of {ROUNDS} rounds of {STEPS} steps"
    )
    return Table("On one GPU against transformers", setting, rows)


def _causal(dtype: torch.dtype) -> Row:
    batch, sequence = CAUSAL
    shape = replace(model_speed.SHAPE, sequence=sequence)
    draw = torch.Generator().manual_seed(0)
    text = torch.randint(shape.size, (batch, sequence + 1), generator=draw).cuda()
    ours = partial(model_speed.our_loss, rows=text)
    peer = partial(model_speed.peer_loss, rows=text)
    steps = {
        "dslm": model_speed.stepping(model_speed.ours(shape), ours, dtype, "cuda"),
        "peer": model_speed.stepping(model_speed.peer(shape), peer, dtype, "cuda"),
    }
    claim = f"GPT-2 small, {batch} × {sequence}, {PRECISIONS[dtype]}"
    rates = alternate(_works(steps, batch * sequence), ROUNDS, claim)
    wanted = "≥ 1.2×" if dtype == torch.float32 else "≥ 1.0×"
    return speedup(claim, wanted, rates["dslm"], rates["peer"], "tokens")


def _masked(dtype: torch.dtype, batch: int, sequence: int) -> Row:
    example = masked_speed.Example.drawn(batch, sequence).to("cuda")
    models: dict[str, nn.Module] = {
        "dslm": masked_speed.ours(12, 768, sequence),
        "peer": masked_speed.peer(12, 768, sequence),
    }
    losses = {"dslm": masked_speed.our_loss, "peer": masked_speed.peer_loss}
    steps = {
        name: model_speed.stepping(model, partial(losses[name], example=example), dtype, "cuda")
        for name, model in models.items()
    }
    claim = f"BERT-base, masked and next sentence, {batch} × {sequence}, {PRECISIONS[dtype]}"
    rates = alternate(_works(steps, batch * sequence), ROUNDS, claim)
    wanted = "≥ 1.4×" if dtype == torch.float32 else "≥ 1.15×"
    return speedup(claim, wanted, rates["dslm"], rates["peer"], "tokens")


def _documents(batch: int, sequence: int) -> list[Row]:
    """Attention forward and backward, as a model's first block does it; and how far they differ."""
    visibility = _borders(batch, sequence)
    shape = (batch, HEADS, sequence, PART)
    draw = torch.Generator("cuda").manual_seed(0)
    inputs = [torch.randn(shape, generator=draw, device="cuda") for _ in range(4)]

    def attention(mix: Mix, dtype: torch.dtype) -> list[Tensor]:
        """The result and the gradients."""
        *leaves, gradient = (x.to(dtype, copy=True) for x in inputs)
        queries, keys, values = (x.requires_grad_() for x in leaves)
        mixed = mix(queries, keys, values, visibility.clone())
        return [mixed.detach(), *torch.autograd.grad(mixed, leaves, gradient)]

    flexible, masked = attention(_blocks, torch.float32), attention(_mask, torch.float32)
    pairs = zip(flexible, masked, strict=True)
    apart = max(float((a - b).norm() / b.norm()) for a, b in pairs)
    half = torch.bfloat16
    steps = {"flex": partial(attention, _blocks, half), "mask": partial(attention, _mask, half)}
    claim = f"attention within documents, {batch} × {sequence}, bfloat16"
    rates = alternate(_works(steps, 1), ROUNDS, claim)
    return [
        slowdown(claim, "< 1×", rates["flex"], rates["mask"]),
        Row("the same, float32: relative difference to a mask's", "≤ 1e-5", f"{apart:.1e}"),
    ]


def _blocks(queries: Tensor, keys: Tensor, values: Tensor, visibility: Tensor) -> Tensor:
    return attend(queries, keys, values, visibility, None, True, 0.0)


def _mask(queries: Tensor, keys: Tensor, values: Tensor, visibility: Tensor) -> Tensor:
    mask = sees(visibility)
    return nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


def _borders(batch: int, sequence: int) -> Tensor:
    """The number of each token's document."""
    draw = torch.Generator().manual_seed(1)
    lengths = torch.randint(32, 512, (batch, sequence // 32), generator=draw)
    ends = lengths.cumsum(1)
    places = torch.arange(sequence).expand(batch, sequence).contiguous()
    return (1 + torch.searchsorted(ends, places, right=True)).cuda()


def _works(steps: dict[str, Callable[[], object]], amount: int) -> dict[str, Contender]:
    """Each step several times, timed to the end of what it left to the GPU."""

    def work(step: Callable[[], object]) -> None:
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()

    return {name: timed(partial(work, step), STEPS * amount) for name, step in steps.items()}
