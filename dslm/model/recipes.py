"""Which layers a model has, in order: what `dslm.model.stages` makes its stages of.

The path of a value in one stack: token ids → vectors → positions → blocks → final norm → head; an
autoencoder has its code and a second stack before the head. In an encoder–decoder (Vaswani et al.
2017) the first stack reads a source; then its output steps aside, as the extra `memory`, and the
vectors of a target go through the second, whose blocks attend to it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from torch import nn

from dslm.model.block import Block
from dslm.model.bottleneck import Bottleneck
from dslm.model.config import ModelConfig
from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.embedding import (
    FinalNorm,
    Head,
    Positions,
    TokenEmbedding,
    decoder_embedding,
    tied_head,
)
from dslm.model.heads import (
    ClassHead,
    OutputBias,
    PredictionTransform,
    Regression,
    paired_head,
    with_targets,
)
from dslm.model.recurrent import RecurrentBlock

Recipe: TypeAlias = dict[str, Any]
"""Fields of a `dslm.model.stages.Stage`; those that are the same in all are left out."""


def recipes(config: ModelConfig) -> list[Recipe]:
    """The layers of a model of a shape."""
    if config.encoder_layers:
        return [*_two_stacks(config), *_tail(config)]
    return [_embedding(config), *_trunk(config), *_decoder(config), *_tail(config)]


def _two_stacks(config: ModelConfig) -> list[Recipe]:
    """From the ids of a source, and beside them those of a target, to its last hidden vectors."""
    embedding = {**_embedding(config), "tied": "embedding"}
    crossing = {"call": decoder_embedding, "uses": ("targets",), "gives": ("memory",)}
    reads = "visibility", "position_ids", DROPOUT_KEYS
    writes = "visibility", "memory", DROPOUT_KEYS
    encoder, decoder = _stack(config.encoder, reads, reads), _stack(config.decoder, writes, writes)
    return [embedding, *encoder, {**embedding, **crossing}, *decoder]


def _embedding(config: ModelConfig) -> Recipe:
    return {"module": TokenEmbedding, **({"tied": "embedding"} if config.tied else {})}


def _trunk(config: ModelConfig) -> list[Recipe]:
    """From token vectors to the last hidden vectors, those selected."""
    if config.recurrent:
        return _stack(config, (DROPOUT_KEYS,), (DROPOUT_KEYS,), RecurrentBlock)
    uses = ("visibility", "position_ids", DROPOUT_KEYS)
    return _stack(config, uses, (*uses, "selected"))


def _stack(
    config: ModelConfig,
    uses: tuple[str, ...],
    last: tuple[str, ...],
    block: type[nn.Module] = Block,
) -> list[Recipe]:
    """Positions, blocks and the norm behind them, each of this shape.

    Args:
        config: the shape.
        uses: extras of each block but the last.
        last: those of the last.
        block: what they are.
    """
    of_tokens = () if "memory" in uses else ("segments", "position_ids")  # those of the source
    first: Recipe = {"module": Positions, "uses": (*of_tokens, DROPOUT_KEYS)}
    if config.positions == "relative":
        first["gives"] = more = ("relative",)
        uses, last = uses + more, last + more
    blocks = [{"module": block, "uses": uses}] * (config.layers - 1)
    final = [{"module": FinalNorm}] if config.norm_position == "pre" else []
    blocks = _numbered(config, [*blocks, {"module": block, "uses": last}])
    return [{"config": config, **layer} for layer in (first, *blocks, *final)]


def _numbered(config: ModelConfig, blocks: list[Recipe]) -> list[Recipe]:
    """The blocks of a stack, of which some recompute where it is not all or none."""
    every = config.recompute
    if every is True or not isinstance(every, int) or not every:
        return blocks
    some = [replace(config, recompute=number % every == 0) for number in range(1, len(blocks) + 1)]
    return [{**block, "config": own} for block, own in zip(blocks, some, strict=True)]


def _decoder(config: ModelConfig) -> list[Recipe]:
    """Of an autoencoder, from the encoder's hidden vectors through the code to its own."""
    if not config.bottleneck_length:
        return []
    bottleneck: Recipe = {"module": Bottleneck, "uses": ("visibility",)}
    # The decoder gets nothing but the code, not even where padding was.
    block: Recipe = {"module": Block, "uses": (DROPOUT_KEYS,)}
    blocks = _numbered(config, [block] * config.decoder_blocks)
    final: list[Recipe] = [{"module": FinalNorm}] if config.norm_position == "pre" else []
    return [bottleneck, *blocks, *final]


def _tail(config: ModelConfig) -> list[Recipe]:
    """From hidden vectors to scores, or to vectors and those to compare them with."""
    if config.classes:
        return [{"module": ClassHead, "uses": (DROPOUT_KEYS,)}]
    if config.output == "vectors":
        targets: Recipe = {"call": with_targets, "uses": ("originals",)}
        return [{"module": Regression}, {**_embedding(config), **targets}]
    head: Recipe = {"module": Head}
    if config.tied:
        scale = config.width**-0.5 if config.head_scale else 1.0
        head = {**_embedding(config), "call": partial(tied_head, scale=scale)}
    if config.pair_head:
        head["call"] = partial(paired_head, project=True) if config.tied else paired_head
    if config.transform or config.pair_head:
        return [{"module": PredictionTransform}, head, {"module": OutputBias}]
    return [head]
