"""A model in Hugging Face's form, every part of it checked against the others, nothing loaded yet.

config.json gives the shape, the shape the names and sizes of the weights, which the headers of the
weight files are compared with: a claim that is not true costs no memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dslm.errors import CheckpointError, Problem, Problems, UserError
from dslm.files.names import printable
from dslm.files.whole import read_json
from dslm.hub.compressed import KEY, Packed, floats
from dslm.hub.families import SETTINGS
from dslm.hub.family import Family
from dslm.hub.names import Weight, copies, weights
from dslm.hub.registry import family_of_settings
from dslm.hub.settings import read_settings
from dslm.hub.stored import FLOATS, Stored, stored
from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.quantization.config import Scheme

OUTSIDE = ("lm_head.", "final_logits_bias")
"""With what the names of tensors begin that never have what all others begin with."""
FAR = 100
"""How many times more weights than there are make it useless to name those that are missing."""


@dataclass(frozen=True)
class Folder:
    """A model as it lies in a folder."""

    path: Path
    family: Family
    settings: Mapping[str, Any]
    """The content of config.json."""
    config: ModelConfig
    weights: list[Weight]
    stored: Mapping[str, Stored]
    absent: Sequence[Weight] = ()
    """Weights of the head, which the files do not hold."""

    def read(self, weight: Weight, unround: bool = False) -> Tensor:
        """One of our weights in float32.

        Args:
            weight: which.
            unround: whether one of few bits is read as a weight that rounds to it; see `roundable`.

        Raises:
            CheckpointError: some of its numbers are not finite.
        """
        return weight.join(partial(self._finite, unround=unround))

    def schemes(self) -> dict[str, Scheme]:
        """What layers are rounded to, by their names in a `Transformer`."""
        found: dict[str, Scheme] = {}
        for weight in self.weights:
            parts = [self.stored.get(name) for name in weight.theirs]
            schemes = [part.scheme for part in parts if isinstance(part, Packed)]
            if schemes:
                found[f"layers.{weight.ours}".removesuffix(".weight")] = schemes[0]
        return found

    def roundable(self) -> bool:
        """Whether there are weights that round to all that are of few bits."""
        try:
            for tensor in self.stored.values():
                if isinstance(tensor, Packed):
                    tensor.unround()
        except ValueError:
            return False
        return True

    def _finite(self, name: str, unround: bool) -> Tensor:
        stored = self.stored[name]
        where = f"{stored.path}: {printable(name)}"
        packed = stored if unround and isinstance(stored, Packed) else None
        tensor = stored.read() if packed is None else packed.unround()
        if not tensor.isfinite().all():
            rule = "holds numbers that are not finite in float32: the model is lost"
            raise CheckpointError(Problem(where, None, rule, "import an earlier state of it"))
        return tensor

    def bytes(self) -> int:
        """The size of all weights in float32."""
        return sum(4 * math.prod(weight.shape) for weight in self.weights)


def open_folder(path: Path) -> Folder:
    """Open a model.

    Raises:
        UserError: with everything that is wrong with it.
    """
    found = Problems()
    where = path / SETTINGS
    settings = found.collect(read_json, where)
    family = None if settings is None else found.collect(family_of_settings, settings, str(where))
    there = found.collect(stored, path)
    if settings is not None and there is not None:
        there = found.collect(floats, settings, there, str(where))
        settings = {key: value for key, value in settings.items() if key != KEY}
    config = None
    if settings is not None and family is not None:
        config = found.collect(read_settings, family, settings, str(where), there or ())
    if settings is None or family is None or config is None or there is None:
        raise UserError(*found.problems)
    numbers = sum(math.prod(tensor.shape) for tensor in there.values())
    if parameter_count(config) > FAR * numbers:
        rule = f"describes {parameter_count(config):,} weights, but the files hold {numbers:,}"
        raise CheckpointError(Problem(str(where), None, rule))
    needed = weights(family, config)
    tensors = _sorted_out(_named(family, config, there), family, needed)
    absent = [weight for weight in needed if family.headless and _of_head(weight, family, tensors)]
    held = [weight for weight in needed if weight not in absent]
    problems = list(_compared(held, tensors, family, config))
    if problems := problems or _packed_in_part(held, tensors, where):
        raise CheckpointError(*problems)
    return Folder(path, family, settings, config, needed, tensors, absent)


def _of_head(weight: Weight, family: Family, there: Container[str]) -> bool:
    """Whether a weight is of the head, and none of it is there."""
    return not any(name in there or name.startswith(family.base) for name in weight.theirs)


def _named(family: Family, config: ModelConfig, tensors: dict[str, Stored]) -> dict[str, Stored]:
    """Tensors by the full names that they have today."""
    bare = not any(name.startswith(family.base) for name in tensors)
    full = {
        family.base + name if bare and not name.startswith(OUTSIDE) else name: tensor
        for name, tensor in tensors.items()
    }
    for old, new in family.older.items():
        full = {
            name.removesuffix(old) + new if name.endswith(old) else name: tensor
            for name, tensor in full.items()
        }
    for twin, other in family.twins.items():
        if twin in full and (other not in full or not config.tied):
            full[other] = full.pop(twin)
    for copy, other in family.shared.items():
        if copy in full and other not in full:
            full[other] = full.pop(copy)
    return full


def _sorted_out(
    tensors: dict[str, Stored], family: Family, needed: list[Weight]
) -> dict[str, Stored]:
    """Tensors without those that no model of this shape has."""
    names = {name for weight in needed for name in weight.theirs}
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not re.fullmatch(family.buffers, name) or name in names
    }


def _compared(
    needed: list[Weight], there: Mapping[str, Stored], family: Family, config: ModelConfig
) -> Iterator[Problem]:
    """Tensors that are missing, not known, of a wrong shape or of no kind of number we read."""
    shapes = dict(pair for weight in needed for pair in weight.shapes())
    same = copies(family, config)
    yield from (
        Problem(name, None, "is missing from the weights") for name in shapes if name not in there
    )
    for name, tensor in there.items():
        where = f"{tensor.path}: {printable(name)}"
        if tensor.dtype not in FLOATS:
            yield Problem(where, tensor.dtype, f"dslm reads only {', '.join(FLOATS)}")
        elif name in shapes and tensor.shape != shapes[name]:
            rule = f"must be {list(shapes[name])} by {SETTINGS}"
            yield Problem(where, list(tensor.shape), rule)
        elif name in same:
            yield from _differing(where, tensor, same[name], there.get(same[name]), family)
        elif name in family.zeros:
            yield from _other_than_zero(where, tensor, family)
        elif name not in shapes:
            rule = f"is no weight of {family.name} as {SETTINGS} describes it"
            yield Problem(where, None, rule)


def _packed_in_part(
    needed: list[Weight], there: Mapping[str, Stored], where: Path
) -> list[Problem]:
    """Weights of ours of which some parts are in few bits and others are not."""
    return [
        Problem(f"{where}: {KEY}", None, f"rounds only some of {', '.join(weight.theirs)}")
        for weight in needed
        if len({isinstance(there[name], Packed) for name in weight.theirs}) > 1
    ]


def _differing(
    where: str, copy: Stored, name: str, other: Stored | None, family: Family
) -> Iterator[Problem]:
    """A tensor that is said to be another one, but is not."""
    if other is not None and copy.shape == other.shape and torch.equal(copy.read(), other.read()):
        return
    if name in family.shared.values() and not where.endswith("lm_head.weight"):
        yield Problem(where, None, f"differs from {name}, with which it shares one table")
        return
    rule = f"differs from {name}, though tie_word_embeddings is true"
    yield Problem(where, None, rule, f"set it to false in {SETTINGS}")


def _other_than_zero(where: str, tensor: Stored, family: Family) -> Iterator[Problem]:
    """A tensor that we leave out, though it would change scores."""
    if tensor.read().any():
        yield Problem(where, None, f"is not zero, and dslm has no such weight in a {family.name}")
