"""Tokens a second of training against `transformers`, the same shape and the same plain loop.

Both models have GPT-2 small's blocks and vocabulary and are stepped by the same fused AdamW with
the same clipping, in float32 and with all weights in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from measure import THREADS, Options, Row, Table, alternate, ratio, speedup, timed
from torch import Tensor, nn

from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.cross_entropy import cross_entropy

SHAPE = ModelConfig(layers=12, heads=12, width=768, sequence=512, vocabulary=50257)
SMALL = ModelConfig(layers=2, heads=4, width=128, sequence=64, vocabulary=4096)
"""In place of it for a precision that this processor only imitates, some hundred times slower."""
BATCH = 2
ROUNDS = 7
EMULATED = 10.0
"""Times slower than float32 from which a precision is taken for emulated."""
PRECISIONS = {"float32": (torch.float32, "≥ 1.2×"), "bfloat16": (torch.bfloat16, "≥ 1.0×")}


def measure(options: Options) -> Table:
    """Time one optimizer step of either model in turns."""
    torch.set_num_threads(THREADS)
    rows = [_compare(name, dtype, wanted) for name, (dtype, wanted) in PRECISIONS.items()]
    setting = (
        f"GPT-2 small ({SHAPE.layers} layers of width {SHAPE.width}, vocabulary {SHAPE.size}), "
        f"{BATCH} × {SHAPE.sequence} tokens a step, plain loop with fused AdamW and clipping, "
        f"median of {ROUNDS} rounds"
    )
    return Table("Training speed against transformers", setting, rows)


def _compare(name: str, dtype: torch.dtype, wanted: str) -> Row:
    shape = SMALL if emulated(dtype) else SHAPE
    note = f" (imitated by this processor: {shape.layers} × {shape.width})"
    claim = f"tokens a second of training, {name}{note if shape is SMALL else ''}"
    tokens = BATCH * shape.sequence
    draw = torch.Generator().manual_seed(0)
    text = torch.randint(shape.size, (BATCH, shape.sequence + 1), generator=draw)
    steps = {
        "dslm": stepping(ours(shape), partial(our_loss, rows=text), dtype),
        "peer": stepping(peer(shape), partial(peer_loss, rows=text), dtype),
    }
    works = {contender: timed(step, tokens) for contender, step in steps.items()}
    rates = alternate(works, 5 * ROUNDS if shape is SMALL else ROUNDS, f"model, {name}")
    return speedup(claim, wanted, rates["dslm"], rates["peer"], "tokens")


def emulated(dtype: torch.dtype) -> bool:
    """Whether this processor has no instructions for a type but imitates it slowly."""
    matrix = torch.ones(256, 256)
    operands = {"float32": matrix, "other": matrix.to(dtype)}
    works = {name: timed(partial(torch.matmul, value, value)) for name, value in operands.items()}
    rates = alternate(works, ROUNDS, "matrix products")
    return ratio(rates["float32"], rates["other"]) > EMULATED


def stepping(
    model: nn.Module,
    loss: Callable[[nn.Module], Tensor],
    dtype: torch.dtype,
    device: str = "cpu",
) -> Callable[[], None]:
    """A training step of a model on always the same tokens."""
    model = model.to(device, dtype).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        torch.autograd.backward(loss(model))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours(shape: ModelConfig) -> nn.Module:
    return Transformer(stages(shape, seed=0))


def our_loss(model: nn.Module, rows: Tensor) -> Tensor:
    return cross_entropy(model(rows[:, :-1]), rows[:, 1:]) / rows[:, 1:].numel()


def peer(shape: ModelConfig) -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    model: nn.Module = GPT2LMHeadModel(
        GPT2Config(
            n_layer=shape.layers,
            n_head=shape.heads,
            n_embd=shape.width,
            n_positions=shape.sequence,
            vocab_size=shape.size,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
            attn_implementation="sdpa",
        )
    )
    return model


def peer_loss(model: nn.Module, rows: Tensor) -> Tensor:
    """`transformers` moves the labels by itself: its rows are one token shorter for equal work."""
    tokens = rows[:, :-1]
    loss: Tensor = model(input_ids=tokens, labels=tokens).loss
    return loss
