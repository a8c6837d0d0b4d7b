"""Which weights of a model learn, and at which rate each layer does; no torch.

The lowest layers of a trained model hold what is common to most texts, so that fine-tuning may
leave them as they are (Lee et al. 2019, "What would Elsa do?") or change them more slowly (Howard &
Ruder 2018, section 3.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.model.counts import (
    block_count,
    class_head_count,
    cross_count,
    embedding_count,
    parameter_count,
    positions_count,
)
from dslm.model.lora import NO_LORA, LoraConfig, check_lora

BLOCKS = re.compile(r"blocks(?:\.(\d+)(?:-(\d+))?)?")
"""A word that names blocks: all, one, or those from one to another."""


@dataclass(frozen=True)
class Tuning:
    """Which weights learn, and how fast; without anything else all of them do, at one rate."""

    frozen: str | None = None
    """Layers that stay as they are, see `RunConfig.frozen`."""
    layer_rate_decay: float = 1.0
    """By what the rate falls from block to block."""
    lora: LoraConfig = NO_LORA
    """Adapters, beside which nothing but the head of a task learns."""

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The names of frozen layers."""
        words = (self.frozen or "").split(",")
        return tuple(word.strip() for word in words if word.strip())

    @property
    def freezes_anything(self) -> bool:
        """Whether any weights stay as they are."""
        return bool(self.lora.rank or self.words)

    @property
    def freezes_embeddings(self) -> bool:
        """Whether the embeddings of tokens, positions and segments stay as they are."""
        return bool(self.lora.rank) or "embeddings" in self.words

    def freezes_block(self, number: int) -> bool:
        """Whether a block stays as it is, but for its adapters."""
        if self.lora.rank:
            return True
        return any(_named(word)[0] <= number <= _named(word)[1] for word in self.words)

    def freezes_other(self, is_task: bool) -> bool:
        """Whether a layer that is neither stays as it is: no head of a task does."""
        return bool(self.lora.rank) and not is_task

    def added_to_block(self, model: ModelConfig, number: int) -> int:
        """How many weights the adapters of a block have."""
        return self.lora.count(model, 0 < model.encoder_layers <= number)

    def total(self, model: ModelConfig) -> int:
        """How many weights a model has, those of adapters too."""
        added = sum(self.added_to_block(model, number) for number in range(model.blocks))
        return parameter_count(model) + added

    def learned_of_block(self, model: ModelConfig, number: int) -> int:
        """How many weights of a block learn.

        Args:
            model: the shape.
            number: of the block, from 0; an encoder's before its decoder's.
        """
        if self.freezes_block(number):
            return self.added_to_block(model, number)
        crosses = model.encoder_layers and number >= model.encoder_layers
        return block_count(model) + (cross_count(model) if crosses else 0)

    def learned(self, model: ModelConfig) -> int:
        """How many weights of a model learn, tied ones counted once."""
        if self.lora.rank:
            return self.total(model) - parameter_count(model) + class_head_count(model)
        every = Tuning()
        frozen = sum(
            every.learned_of_block(model, number) - self.learned_of_block(model, number)
            for number in range(model.blocks)
        )
        if self.freezes_embeddings:
            second = positions_count(model) if model.encoder_layers else 0
            frozen += embedding_count(model) + second
        return parameter_count(model) - frozen


ALL = Tuning()


def check_tuning(tuning: Tuning, model: ModelConfig) -> Iterator[Problem]:
    """What is wrong with the names of frozen layers, or of maps with adapters."""
    yield from check_lora(tuning.lora, model)
    if tuning.lora.rank and tuning.frozen is not None:
        rule = "goes without saying where lora.rank is set"
        yield Problem("frozen", tuning.frozen, rule, "leave it out")
    for word in tuning.words:
        first, last = _named(word)
        if word != "embeddings" and not BLOCKS.fullmatch(word):
            fix = "use embeddings, blocks, blocks.0 or blocks.0-3, several with commas between them"
            yield Problem("frozen", word, "is no name of layers", fix)
        elif word not in ("embeddings", "blocks") and not first <= last < model.blocks:
            rule = f"is not among the blocks of the model, 0 to {model.blocks - 1}"
            yield Problem("frozen", word, rule, f"use blocks.0-{model.blocks - 1} or fewer")
    if tuning.frozen is not None and not tuning.words:
        yield Problem("frozen", tuning.frozen, "names nothing", "leave it out")


def _named(word: str) -> tuple[int, int]:
    """The first and the last block that a word names; of none the last is before the first."""
    found = BLOCKS.fullmatch(word)
    if found is None:
        return 0, -1
    first, last = found.groups()
    if first is None:
        return 0, 2**62
    return int(first), int(last or first)
