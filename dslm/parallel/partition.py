"""Which part of a model each pipeline stage holds; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.model.counts import (
    block_count,
    class_head_count,
    cross_count,
    parameter_count,
    positions_count,
    second_count,
)
from dslm.model.tuning import ALL, Tuning


@dataclass(frozen=True)
class Part:
    """The layers of one pipeline stage; without a pipeline there is one that holds all."""

    stage: int
    stages: int
    blocks: int
    """How many of the model's blocks."""
    weights: int
    """How many weights, those tied to another stage's counted here too."""
    learned: int
    """How many of these learn."""
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


def parts(model: ModelConfig, stages: int, tuning: Tuning = ALL) -> list[Part]:
    """The parts of a model, from the first stage to the last.

    What lies between encoder and decoder, the embedding once more, is where the encoder ends.

    Args:
        model: its shape.
        stages: how many.
        tuning: which weights learn.
    """
    block, cross, total = block_count(model), cross_count(model), parameter_count(model)
    decoder, between = model.layers if cross else 0, second_count(model)
    outside = total - block * model.blocks - cross * decoder - between
    if stages == 1:
        every = tuning.total(model)
        return [Part(0, 1, model.blocks, every, tuning.learned(model), decoder)]
    table = model.size * model.width
    begins = table + positions_count(model) + model.segments * model.width
    tied = model.tied and not model.classes
    ends = outside - begins + (table if tied else 0)
    found, done, frozen = [], 0, tuning.freezes_embeddings
    for stage, blocks in enumerate(blocks_of_stages(model.blocks, stages)):
        ending = begins * (stage == 0) + ends * (stage == stages - 1)
        still = begins * (stage == 0) + table * (tied and stage == stages - 1)
        if done < model.encoder_layers <= done + blocks:
            counted = stage == 0 or (tied and stage == stages - 1)
            ending += between + (0 if counted else table)
            still += positions_count(model) + (0 if counted else table)
        learned = ending - still * frozen
        if tuning.lora.rank:
            learned = class_head_count(model) * (stage == stages - 1)
        learned += sum(tuning.learned_of_block(model, done + n) for n in range(blocks))
        done += blocks
        crossing = min(blocks, max(0, done - model.encoder_layers)) if decoder else 0
        added = sum(tuning.added_to_block(model, done - 1 - n) for n in range(blocks))
        weights = blocks * block + crossing * cross + ending + added
        found.append(Part(stage, stages, blocks, weights, learned, crossing))
    return found


def check_learning(model: ModelConfig, stages: int, tuning: Tuning) -> list[Problem]:
    """Whether something learns, and on each pipeline stage enough.

    There no gradient reaches a stage without, and all have as many groups of weights, see
    `dslm.parallel.optimizers.as_many`: two, or two for each block where each has a rate of its own.
    """
    idle = [part.stage for part in parts(model, stages, tuning) if not part.learned]
    if tuning.lora.rank and idle:
        rule = f"leaves stage {idle[0]} of the pipeline nothing to learn"
        fix = "adapt maps of all blocks, such as attention, or use fewer pipeline_stages"
        return [Problem("lora.targets", tuning.lora.targets, rule, fix)]
    if stages == 1 or not tuning.words:
        rule = "leaves a model nothing to learn"
        nothing = [Problem("frozen", tuning.frozen, rule, "freeze less")]
        return [] if tuning.learned(model) else nothing
    numbers, learned = iter(range(model.blocks)), list[int]()
    for blocks in blocks_of_stages(model.blocks, stages):
        learned.append(sum(not tuning.freezes_block(n) for n in islice(numbers, blocks)))
    groups = 2 * (1 + max(learned)) if tuning.layer_rate_decay != 1 else 2
    few = [stage for stage, count in enumerate(learned) if count * _least(model) < groups]
    rule = f"leaves stage {few[0] if few else 0} of the pipeline too little to learn"
    fix = "freeze less, or use fewer pipeline_stages"
    return [Problem("frozen", tuning.frozen, rule, fix)] if few else []


def _least(model: ModelConfig) -> int:
    """How many weights a block has at least: matrices, and the scales of its norms."""
    return 3 if model.recurrent else 6
