"""The formats in which a run's model is written; each is a module and a line of a table.

The module says what of a model the format cannot hold, writes it, and reads it back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Protocol, cast

from dslm.errors import ConfigError, Problem, suggest
from dslm.model.config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

    from dslm.inference.trained import Trained


@dataclass(frozen=True)
class Written:
    """What a format made of a model."""

    holder: str
    """What loads it."""
    load: Callable[[Path], str]
    """What to type to load it from a folder."""
    rounded: int
    """Bytes of the rounded weights in the file, with their steps."""
    why: str = ""
    """Why the holder is not the first choice."""
    inputs: str = "as they are"
    """What becomes of the inputs of layers where they are not rounded as in training."""


@dataclass(frozen=True)
class ReadBack:
    """A model as a format holds it."""

    config: ModelConfig
    weights: Mapping[str, Tensor]
    """In float32, by the names in a `Transformer`: ``layers.…``."""
    inputs: Mapping[str, int] = field(default_factory=dict)
    """How many bits the inputs of a layer are rounded to; of other layers they are not."""
    halved: Collection[str] = ()
    """Names of weights that are held in float16, as of which the run's are compared too."""


class Format(Protocol):
    """What the module of a format defines."""

    def check(self, trained: Trained) -> list[Problem]:
        """What of a model the format cannot hold; the fix may be left out.

        Args:
            trained: the model, whose layers still round.
        """

    def write(self, trained: Trained, target: Path) -> Written:
        """Write a model that `check` has nothing against into an empty folder."""

    def read(self, target: Path) -> ReadBack:
        """What was written."""


FORMATS = {
    "floats": ("floats", "float32, rounded weights among them (default)"),
    "compressed-tensors": ("packed", "8, 4, 3 or 2 bits, for transformers and vLLM"),
    "gguf": ("gguf.file:HALF", "8 or 4 bits and the rest of 16, for llama.cpp"),
    "gguf-f32": ("gguf.file:WHOLE", "the same with the rest of 32 bits"),
}
"""The module of each format, or an object in it, and what it holds; floats are the default."""


def open_format(name: str) -> Format:
    """The format of a name.

    Raises:
        ConfigError: there is none.
    """
    if name not in FORMATS:
        fix = suggest(name, FORMATS, f"choose from {', '.join(FORMATS)}")
        raise ConfigError(Problem("format", name, "there is no such format", fix))
    return cast(Format, resolve_name(f"{__package__}.{FORMATS[name][0]}"))


def check_holds(name: str, trained: Trained) -> list[Problem]:
    """What of a model a format cannot hold, with the formats that can."""
    problems = open_format(name).check(trained)
    if all(problem.fix for problem in problems):
        return problems
    able = [f"--format {other}" for other in FORMATS if not open_format(other).check(trained)]
    fix = f"use {' or '.join(able)}" if able else ""
    return [Problem(p.where, p.found, p.rule, p.fix or fix) for p in problems]
