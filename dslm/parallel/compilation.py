"""Blocks compiled by torch, each by itself: one graph serves all that are alike.

What is between them (embeddings, head, loss) stays as it is, and so does whatever DeepSpeed does
around a block: its weights are gathered before and released behind a graph, never within. A block
whose graph would have to be left halfway is an error, and so are more graphs than `GRAPHS`: nothing
is slow in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from dslm.model.block import Block
from dslm.model.positions import rotary
from dslm.model.relative import distance_kinds
from dslm.model.visibility import Visibility
from dslm.quantization.rounding import Quantizer

GRAPHS = 64
"""Graphs that are made of blocks at most. A run has one for each kind of block (of an encoder, of a
decoder, with all positions or with those selected) and each use (to learn, to measure; rounded or
not)."""


def compile_blocks(
    model: nn.Module, varying: bool = False, quantizer: Quantizer | None = None
) -> None:
    """Have the blocks of a model compiled when they are first used.

    Args:
        model: a Transformer, or a part of it, as DeepSpeed has it.
        varying: whether rows, and what is selected of them, differ in length from batch to batch.
        quantizer: what its layers round to, if they do.
    """
    import torch._dynamo

    torch._dynamo.config.recompile_limit = GRAPHS
    for table in (rotary, distance_kinds):
        torch._dynamo.assume_constant_result(table)  # type: ignore[no-untyped-call]
    for block in (module for module in model.modules() if isinstance(module, Block)):
        # Its forward alone, not the call: DeepSpeed's hooks are around that.
        plain = block.forward
        forward = torch.compile(plain, fullgraph=True, dynamic=None if varying else False)
        if varying:
            forward = _of_any_length(forward)
        if quantizer is not None:
            forward = _unless_collected(quantizer, forward, plain)
        block.forward = forward  # type: ignore[method-assign]


def _unless_collected(
    quantizer: Quantizer, compiled: Callable[..., Tensor], plain: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    """A compiled forward, but the plain one when it is measured how far weights are moved.

    Which is done at the steps that are logged, by adding to a list; a graph adds to none.
    """

    @wraps(plain)
    def call(*given: Any, **named: Any) -> Tensor:
        return (plain if quantizer.collect else compiled)(*given, **named)

    return call


def _of_any_length(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A compiled forward of which one graph serves rows of every length."""

    @wraps(forward)
    def call(hidden: Tensor, **given: Any) -> Tensor:
        for tensor, *places in _lengths(hidden, **given):
            for place in places:
                torch._dynamo.maybe_mark_dynamic(tensor, place)
        return forward(hidden, **given)

    return call


def _lengths(
    hidden: Tensor,
    visibility: Visibility | None = None,
    position_ids: Tensor | None = None,
    selected: Tensor | None = None,
    memory: Tensor | None = None,
    **_: Any,
) -> Iterator[tuple[Any, ...]]:
    """The arguments of a block, see `Block.forward`, each with its dimensions that vary."""
    numbers, mask = visibility or (None, None)
    for tensor in (hidden, numbers, position_ids, selected, memory):
        if tensor is not None:
            yield tensor, 1
    if isinstance(mask, Tensor):
        yield mask, 2, 3


def notice(around: Callable[[], AbstractContextManager[None]]) -> None:
    """From now on, whenever torch compiles something in this process it is within `around()`."""
    from torch._dynamo.callback import callback_handler

    stack = ExitStack()
    callback_handler.register_start_callback(lambda _: stack.enter_context(around()))
    callback_handler.register_end_callback(lambda _: stack.close())
