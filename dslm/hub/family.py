"""What a family of models is: their words for our settings and their names for our weights."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.objectives.corruption import Style

REQUIRED = object()


@dataclass(frozen=True)
class Key:
    """A setting of theirs that is one of ours."""

    theirs: str
    """Its name in config.json, dotted where it lies deeper."""
    ours: str
    """The field of `ModelConfig`; where several keys name one, they must agree."""
    default: Any = REQUIRED
    """What a file means that leaves it out."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Our words for theirs, where values are words."""
    written: str = ""
    """What is written in place of a field that may be null."""
    also: str = ""
    """Another name of theirs for it, which `transformers` reads as well."""


@dataclass(frozen=True)
class Tensors:
    """Their tensors that one layer's weight of ours is made of, without ``.weight`` and ``.bias``.

    Blocks are counted where a name has ``{}``, and experts where it has another.
    """

    names: tuple[str, ...]
    """Several are laid one under the other."""
    transposed: bool = False
    """Whether a matrix is stored as [inputs, outputs]."""
    by_head: bool = False
    """Whether queries, keys and values are those of the first head, then those of the next …"""
    unused: int = 0
    """Rows that come before ours and serve nothing."""
    gated: tuple[str, ...] = ()
    """What stands for `names` where the feed-forward layer is gated, if those are others."""


Names = Mapping[type[nn.Module], Mapping[str, Tensors]]
"""For each kind of layer, its parts."""


@dataclass(frozen=True)
class Family:
    """Models of one shape, in the form in which Hugging Face's `transformers` keeps them."""

    name: str
    model_type: str
    architectures: Mapping[str, Mapping[str, Any]]
    """Their classes that have all the weights of ours, and what each says of our settings."""
    keys: Sequence[Key]
    ours: Mapping[str, Any]
    """Settings of ours that are the same in all models of the family."""
    theirs: Mapping[str, Any]
    """Settings of theirs, as good as left out, of which we compute no other; dotted like keys."""
    names: Names
    """Behind an encoder those of the decoder."""
    base: str
    """What all names but the head's begin with, which some files leave out."""
    buffers: str
    """Regular expression of tensors that are left out where the model has no such weights."""
    widths: Mapping[str, str] = field(default_factory=dict)
    """Settings of theirs that follow from others, and the property of `ModelConfig` they equal."""
    holds: Mapping[str, str] = field(default_factory=dict)
    """Settings of ours that are true where the files hold a tensor, whatever class they name."""
    least: Mapping[str, int] = field(default_factory=dict)
    """Settings of ours that are no less: a model with less is written with weights of zero."""
    older: Mapping[str, str] = field(default_factory=dict)
    """How names of older files end, and how they end now."""
    twins: Mapping[str, str] = field(default_factory=dict)
    """Tensors of theirs that are others once more, unless the head has a weight of its own: then
    they alone are used."""
    renewed: Callable[[Mapping[str, Any], Container[str]], Mapping[str, Any]] = lambda given, _: (
        given
    )
    """The content of a config.json in the words of today, by it and the names of the tensors."""
    encoder: Names = field(default_factory=dict)
    """The names in the encoder, where there is one."""
    shared: Mapping[str, str] = field(default_factory=dict)
    """Tensors of theirs that are always others once more."""
    zeros: Mapping[str, Callable[[ModelConfig], tuple[int, ...]]] = field(default_factory=dict)
    """Tensors of theirs, and their shapes, that we compute as if they were zero."""
    ids: Mapping[str, int] = field(default_factory=dict)
    """Special ids that a config.json means which leaves them out."""
    frame: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """The special ids before and behind a source where the tokenizer's files do not say it."""
    style: Style = "spans"
    """For what a model with an encoder was trained: how it denoises."""
    refuse: Callable[[ModelConfig], list[Problem]] = lambda _: []
    """What the tables cannot say of a model of ours that is none of the family."""

    task: str = ""
    """The kind of task whose classes the models score; none = they score token ids."""
    headless: bool = False
    """Whether the files hold no head, so that ours is drawn."""

    unpackable: Callable[[str, bool], str] = lambda kind, inputs: ""
    """Why `transformers` would not load, or not compute, rounded weights stored as a kind (see
    `dslm.hub.compressed.kinds`), of layers whose inputs are rounded or not; empty = it does."""

    def fitting(self, config: ModelConfig) -> ModelConfig:
        """The shape in which a model of ours is written."""
        less: dict[str, Any] = {
            name: n for name, n in self.least.items() if getattr(config, name) < n
        }
        return replace(config, **less)


def grouped(config: ModelConfig) -> list[Problem]:
    """What a family says that has no groups of queries."""
    if config.query_groups == config.heads:
        return []
    rule = "the family has as many heads of keys and values as of queries"
    return [Problem("model.key_value_heads", config.key_value_heads, rule)]


def two_stacks(config: ModelConfig) -> list[Problem]:
    """What a family says that has an encoder and no groups of queries."""
    if config.encoder_layers:
        return grouped(config)
    rule = "the family has an encoder and a decoder"
    return [Problem("model.encoder_layers", 0, rule), *grouped(config)]


CAUSAL = {
    "attention": "causal",
    "segments": 0,
    "embedding_norm": False,
    "transform": False,
    "pair_head": False,
}
"""What all families that write text one token after the other have in common."""


def one(*names: str) -> Tensors:
    """Tensors stored as ours are."""
    return Tensors(names)


def turned(name: str) -> Tensors:
    """A linear layer whose matrix is stored as [inputs, outputs]."""
    return Tensors((name,), transposed=True)
