"""Which linear maps of a model get low-rank adapters, and how large these are; no torch.

An adapter adds scale × B A to a matrix that stays as it is (Hu et al. 2021, "LoRA: Low-Rank
Adaptation of Large Language Models").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.model.float8 import block_maps


@dataclass(config=STRICT, frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters (LoRA): they and the head of a task are all that learns."""

    rank: Annotated[int, Field(ge=0)] = 0
    """Rank of the change of each matrix; 0 = no adapters."""
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The change is multiplied by this / rank; null = twice the rank."""
    targets: str = "attention"
    """The maps of each block that get one: attention, feed_forward or all, or maps by their names,
    such as attention.project,feed_forward.enter."""

    @property
    def scale(self) -> float:
        """By what the product of the two matrices is multiplied."""
        return 2.0 if self.alpha is None else self.alpha / self.rank

    @property
    def words(self) -> tuple[str, ...]:
        """The words of `targets`."""
        return tuple(word.strip() for word in self.targets.split(",") if word.strip())

    def maps(self, model: ModelConfig, crosses: bool = False) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the maps of a block that get an adapter, by their names in it.

        Args:
            model: the shape.
            crosses: whether it is a block of a decoder behind an encoder.
        """
        if not self.rank:
            return {}
        every = all_maps(model, crosses)
        return {name: size for name, size in every.items() if _words_for(name) & {*self.words}}

    def count(self, model: ModelConfig, crosses: bool = False) -> int:
        """Weights of the adapters of a block."""
        sizes = self.maps(model, crosses).values()
        return self.rank * sum(inputs + outputs for inputs, outputs in sizes)


NO_LORA = LoraConfig()


def all_maps(model: ModelConfig, crosses: bool) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of all linear maps of a block, by their names in it."""
    width, queries, groups = model.width, model.query_width, model.group_width
    crossing = {
        "ask": (width, queries),
        "remember": (width, 2 * groups),
        "output": (queries, width),
    }
    more = {f"cross_attention.{name}": size for name, size in crossing.items()} if crosses else {}
    return {**block_maps(model), **more}


def check_lora(config: LoraConfig, model: ModelConfig) -> Iterator[Problem]:
    """What cannot be adapted."""
    if not config.rank:
        for key in ("alpha", "targets"):
            if (value := getattr(config, key)) != getattr(NO_LORA, key):
                yield Problem(f"lora.{key}", value, "means nothing without a rank", "set lora.rank")
        return
    if model.recurrent:
        rule = "needs linear maps, of which recurrent blocks have none"
        yield Problem("lora.rank", config.rank, rule, "use model.block=attention")
        return
    every = all_maps(model, model.encoder_layers > 0)
    for word in config.words:
        if not any(word in _words_for(name) for name in every):
            fix = f"use attention, feed_forward, all, or of {', '.join(every)}"
            yield Problem("lora.targets", word, "names no map", fix)
    if not config.words:
        yield Problem("lora.targets", config.targets, "names no map", "use attention")


def _words_for(name: str) -> set[str]:
    """The words that mean a map of a name."""
    parts = name.split(".")
    return {"all", name, *parts, *(["attention"] if "cross_attention" in parts else [])}
