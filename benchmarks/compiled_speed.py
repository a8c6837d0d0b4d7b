"""Compiled blocks against plain ones, and against `transformers` whose blocks are compiled alike.

The comparison of `model_speed` with fewer and narrower blocks, so that it is not the head that
decides; what is compiled is compiled before anything is timed.
"""

from __future__ import annotations

from functools import partial

import model_speed
import torch
from measure import THREADS, Options, Row, Table, alternate, speedup, timed
from torch import nn

from dslm.model.config import ModelConfig
from dslm.parallel.compilation import compile_blocks

WIDTHS = {512: 8, 768: 12}
"""Heads by width."""
LAYERS, SEQUENCE, VOCABULARY = 4, 512, 4096
BATCH = 2
ROUNDS = 9


def measure(options: Options) -> Table:
    """Time one optimizer step of each model in turns."""
    torch.set_num_threads(THREADS)
    rows = [row for width, heads in WIDTHS.items() for row in _compare(width, heads)]
    setting = (
        f"{LAYERS} layers of GPT-2's shape, vocabulary {VOCABULARY}, {BATCH} × {SEQUENCE} tokens a "
        "step, float32, plain loop with fused AdamW and clipping, each block compiled by itself, "
        f"median of {ROUNDS} rounds"
    )
    return Table("Compiled blocks", setting, rows)


def _compare(width: int, heads: int) -> list[Row]:
    shape = ModelConfig(
        layers=LAYERS, heads=heads, width=width, sequence=SEQUENCE, vocabulary=VOCABULARY
    )
    draw = torch.Generator().manual_seed(0)
    text = torch.randint(VOCABULARY, (BATCH, SEQUENCE + 1), generator=draw)
    own, others = (
        partial(loss, rows=text) for loss in (model_speed.our_loss, model_speed.peer_loss)
    )
    compiled, peer = model_speed.ours(shape), model_speed.peer(shape)
    compile_blocks(compiled)
    compile_peer(peer)
    steps = {
        "compiled": model_speed.stepping(compiled, own, torch.float32),
        "plain": model_speed.stepping(model_speed.ours(shape), own, torch.float32),
        "peer": model_speed.stepping(peer, others, torch.float32),
    }
    works = {name: timed(step, BATCH * SEQUENCE) for name, step in steps.items()}
    rates = alternate(works, ROUNDS, f"compiled, width {width}", materialize_moments=2)
    claims = {"plain": ("plain blocks", "≥ 1.0×"), "peer": ("transformers compiled", "≥ 1.1×")}
    return [
        speedup(
            f"tokens a second of training, width {width}, compiled: over {what}",
            wanted,
            rates["compiled"],
            rates[name],
            "tokens",
        )
        for name, (what, wanted) in claims.items()
    ]


def compile_peer(model: nn.Module) -> None:
    """Have each block of a GPT-2 of `transformers` compiled as ours are."""
    for block in model.get_submodule("transformer.h").children():
        block.forward = torch.compile(block.forward, dynamic=False)  # type: ignore[method-assign]
