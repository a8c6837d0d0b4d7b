"""Numbers that go wrong on one rank at one step, as hardware, data or a rate too high make them."""

from __future__ import annotations

import math
from typing import Any

FAULTS = {
    "the loss is nan": lambda loss: loss * math.nan,
    "the loss is infinite, its gradient is not": lambda loss: loss + math.inf,
    "the gradient is nan, the loss is not": lambda loss: _gradient_times(loss, math.nan),
    "the gradient is infinite, the loss is not": lambda loss: _gradient_times(loss, math.inf),
    "the loss is high": lambda loss: loss * 10,
    "the gradient is huge, the loss is not": lambda loss: _gradient_times(loss, 1e8),
}
"""What becomes of a loss."""
EMBEDDING = "the gradient of the embedding is nan, that of the matrices is not"
"""What becomes of the gradient of one weight alone."""


def inject(fault: str, steps: range, where: int, rank: int) -> None:
    """Let the losses of some steps go wrong on a rank; called on every rank before it trains.

    Args:
        fault: a key of `FAULTS`, or `EMBEDDING`.
        steps: which steps, from 1.
        where: the rank; in a pipeline one that holds the last stage.
        rank: this one.
    """
    from dslm.model.embedding import TokenEmbedding
    from dslm.objectives.base import Objective
    from dslm.train.loop import Loop

    making, right, train_step = [False], Objective.loss, Loop.train_step

    def counted(loop: Loop) -> Any:
        making[0] = loop.position.step + 1 in steps and rank == where
        try:
            return train_step(loop)
        finally:
            making[0] = False

    def wrong(objective: Objective, *arguments: Any) -> Any:
        loss = right(objective, *arguments)
        return FAULTS[fault](loss) if making[0] and fault in FAULTS else loss

    embed = TokenEmbedding.forward

    def embedded(layer: TokenEmbedding, inputs: Any, project: bool = False) -> Any:
        hidden = embed(layer, inputs, project)
        spoil = making[0] and fault == EMBEDDING and not project
        return _gradient_times(hidden, math.nan) if spoil else hidden

    Loop.train_step, Objective.loss = counted, wrong  # type: ignore[method-assign]
    TokenEmbedding.forward = embedded  # type: ignore[method-assign]


def on_float16(fault: str, steps: range, where: int, rank: int) -> None:
    """As `inject`, with float16 allowed on a CPU, where it is only slow.

    DeepSpeed asks for a processor with units for float16, and dslm refuses it there.
    """
    from deepspeed.accelerator import get_accelerator

    from dslm.parallel.deepspeed_json import check

    right = check.check
    get_accelerator().is_fp16_supported = lambda: True
    check.check = lambda config, *, cpu, **layout: right(config, cpu=False, **layout)
    inject(fault, steps, where, rank)


def _gradient_times(loss: Any, factor: float) -> Any:
    if loss.requires_grad:
        loss.register_hook(lambda gradient: gradient * factor)
    return loss
