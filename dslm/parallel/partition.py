"""Which part of a model each pipeline stage holds; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from dslm.model.config import ModelConfig
from dslm.model.counts import (
    block_count,
    cross_count,
    parameter_count,
    positions_count,
    second_count,
)


@dataclass(frozen=True)
class Part:
    """The layers of one pipeline stage; without a pipeline there is one that holds all."""

    stage: int
    stages: int
    blocks: int
    """How many of the model's blocks."""
    weights: int
    """How many weights, those tied to another stage's counted here too."""
    crossing: int = 0
    """How many of its blocks attend to an encoder's output."""

    @property
    def first(self) -> bool:
        """Whether it begins with the embedding."""
        return self.stage == 0

    @property
    def last(self) -> bool:
        """Whether it ends with the loss."""
        return self.stage == self.stages - 1

    def in_flight(self, accumulation: int) -> int:
        """Micro-batches whose activations it keeps at once (1F1B, Narayanan et al. 2021)."""
        return min(self.stages - self.stage, accumulation)


def blocks_of_stages(blocks: int, stages: int) -> list[int]:
    """How DeepSpeed spreads blocks over stages: evenly, the first ones taking what is left over."""
    each, rest = divmod(blocks, stages)
    return [each + (stage < rest) for stage in range(stages)]


def parts(model: ModelConfig, stages: int) -> list[Part]:
    """The parts of a model, from the first stage to the last.

    What lies between encoder and decoder, the embedding once more, is where the encoder ends.
    """
    block, cross, total = block_count(model), cross_count(model), parameter_count(model)
    decoder, between = model.layers if cross else 0, second_count(model)
    outside = total - block * model.blocks - cross * decoder - between
    if stages == 1:
        return [Part(0, 1, model.blocks, total, decoder)]
    table = model.size * model.width
    begins = table + positions_count(model) + model.segments * model.width
    ends = outside - begins + (table if model.tied else 0)
    found, done = [], 0
    for stage, blocks in enumerate(blocks_of_stages(model.blocks, stages)):
        ending = begins * (stage == 0) + ends * (stage == stages - 1)
        if done < model.encoder_layers <= done + blocks:
            counted = stage == 0 or (model.tied and stage == stages - 1)
            ending += between + (0 if counted else table)
        done += blocks
        crossing = min(blocks, max(0, done - model.encoder_layers)) if decoder else 0
        weights = blocks * block + crossing * cross + ending
        found.append(Part(stage, stages, blocks, weights, crossing))
    return found
