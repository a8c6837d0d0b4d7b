"""What a family of models is: their words for our settings and their names for our weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from dslm.errors import Problem
from dslm.model.config import ModelConfig

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


@dataclass(frozen=True)
class Tensors:
    """Their tensors that one layer's weight of ours is made of, without ``.weight`` and ``.bias``.

    Blocks are counted where a name has ``{}``.
    """

    names: tuple[str, ...]
    """Several are laid one under the other."""
    transposed: bool = False
    """Whether a matrix is stored as [inputs, outputs]."""


Names = Mapping[type[nn.Module], Mapping[str, Tensors]]
"""For each kind of layer, its parts."""


@dataclass(frozen=True)
class Family:
    """Models of one shape, in the form in which Hugging Face's `transformers` keeps them."""

    name: str
    model_type: str
    architecture: str
    """The class that has all the weights of ours."""
    keys: Sequence[Key]
    ours: Mapping[str, Any]
    """Settings of ours that are the same in all models of the family."""
    theirs: Mapping[str, Any]
    """Settings of theirs, as good as left out, of which we compute no other; dotted like keys."""
    widths: Mapping[str, str]
    """Settings of theirs that follow from others, and the property of `ModelConfig` they equal."""
    names: Names
    base: str
    """What all names but the head's begin with, which some files leave out."""
    buffers: str
    """Regular expression of tensors that are no weights."""
    refuse: Callable[[ModelConfig], list[Problem]] = lambda _: []
    """What the tables cannot say of a model of ours that is none of the family."""


def one(*names: str) -> Tensors:
    """Tensors stored as ours are."""
    return Tensors(names)


def turned(name: str) -> Tensors:
    """A linear layer whose matrix is stored as [inputs, outputs]."""
    return Tensors((name,), transposed=True)
