"""Which part of a model each pipeline stage holds; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from dslm.model.config import ModelConfig
from dslm.model.counts import block_count, parameter_count


@dataclass(frozen=True)
class Part:
    """The layers of one pipeline stage; without a pipeline there is one that holds all."""

    stage: int
    stages: int
    blocks: int
    """How many of the model's blocks."""
    weights: int
    """How many weights, those tied to another stage's counted here too."""

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
    """The parts of a model, from the first stage to the last."""
    block, total = block_count(model), parameter_count(model)
    outside = total - block * model.blocks
    if stages == 1:
        return [Part(0, 1, model.blocks, total)]
    table = model.size * model.width
    positions = model.sequence * model.width if model.positions == "learned" else 0
    begins = table + positions + model.segments * model.width
    ends = outside - begins + (table if model.tied else 0)
    found = []
    for stage, blocks in enumerate(blocks_of_stages(model.blocks, stages)):
        ending = begins * (stage == 0) + ends * (stage == stages - 1)
        found.append(Part(stage, stages, blocks, blocks * block + ending))
    return found
