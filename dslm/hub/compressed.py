"""Rounded weights in few bits: compressed-tensors, which transformers and vLLM load.

The weight of a map ``X`` [out, in] becomes ``X.weight_packed``, its levels in 32-bit words, with
``X.weight_scale`` [out, groups] and ``X.weight_shape``; one of 8 bits with rounded inputs stays
``X.weight``, in int8. What config.json says about it is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dslm.errors import CheckpointError, Problem
from dslm.files.names import printable
from dslm.hub.stored import FLOATS, Stored
from dslm.hub.unrounding import unrounded
from dslm.quantization.config import Scheme

Tensors = dict[str, Tensor]
Numbers = dict[str, tuple[Tensor, Tensor]]
"""Steps [out, groups] and levels [out, in] of maps, by name."""

KEY = "quantization_config"
KINDS = ("pack-quantized", "int-quantized")
ENDS = ("", "_packed", "_scale", "_shape")
"""What the names of the tensors of a weight may end with."""
WORD = 32
"""Bits of a word."""
WHOLE = {bits: (f"I{bits}", f"torch.int{bits}") for bits in (8, WORD, 64)}
"""What files call whole numbers of some bits."""


@dataclass(frozen=True)
class Packed(Stored):
    """A weight in few bits, read as the floats that it stands for."""

    scheme: Scheme
    """What it was rounded to."""
    unround: Callable[[], Tensor]
    """Makes a weight that rounds to it, see `dslm.hub.unrounding`."""


def compressed(tensors: Mapping[str, Tensor], maps: Numbers, scheme: Scheme, kind: str) -> Tensors:
    """Tensors with the weights of some maps in few bits.

    Args:
        tensors: by name.
        maps: steps and levels of these maps, each with a ``.weight`` among the tensors.
        scheme: what they are rounded to.
        kind: how they are stored, one of `kinds`.
    """
    made = dict(tensors)
    for name, (steps, levels) in maps.items():
        del made[f"{name}.weight"]
        made[f"{name}.weight_scale"] = _stored(steps, scheme.weights)
        if kind == "int-quantized":
            made[f"{name}.weight"] = levels
        else:
            made[f"{name}.weight_packed"] = packed(levels, scheme.weights)
            made[f"{name}.weight_shape"] = torch.tensor(levels.shape)
    return made


def _stored(steps: Tensor, bits: int) -> Tensor:
    """Steps in 16 bits where nothing is lost by it.

    Of 4 bits the product of a level with a 16-bit step is exact in float16, of 8 it is not; and
    float16 does not hold the smallest steps.
    """
    narrow = steps.half()
    return narrow if bits <= 4 and torch.equal(narrow.float(), steps) else steps


def described(scheme: Scheme, others: list[str], kind: str) -> dict[str, Any]:
    """What config.json says of it.

    Args:
        scheme: what the weights were rounded to.
        others: the names of linear maps that were not.
        kind: how they are stored.
    """
    levels = {"type": "int", "symmetric": True}
    weights = {"num_bits": scheme.weights, **levels, "dynamic": False, "strategy": "channel"}
    if scheme.group is not None:
        weights |= {"strategy": "group", "group_size": scheme.group}
    inputs = None
    if scheme.activations is not None:
        inputs = {"num_bits": scheme.activations, **levels, "dynamic": True, "strategy": "token"}
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    return {
        "quant_method": "compressed-tensors",
        "format": kind,
        "quantization_status": "compressed",
        "config_groups": {"group_0": {**group, "format": kind}},
        "ignore": others,
    }


def kinds(scheme: Scheme) -> list[str]:
    """How weights may be stored, the smallest first: in int8 each, or packed in words.

    Of 8 bits and with rounded inputs they stay as plain as kernels want them.
    """
    if scheme.activations is None or scheme.group is None:
        return [KINDS[scheme.activations is not None]]
    return [*KINDS]


def packed(levels: Tensor, bits: int) -> Tensor:
    """Levels [rows, columns] as words [rows, ⌈columns × bits / 32⌉], the lowest bits first.

    Levels are counted from the lowest; one may begin in a word and end in the next.
    """
    rows, columns = levels.shape
    counted = F.pad(levels.long() + (1 << (bits - 1)), (0, -columns % WORD))
    ones = (counted.reshape(-1, WORD, 1) >> torch.arange(bits)) & 1
    words = (ones.reshape(-1, bits, WORD) << torch.arange(WORD)).sum(-1)
    words = torch.where(words < 1 << (WORD - 1), words, words - (1 << WORD)).int()
    return words.view(rows, -1)[:, : -(-columns * bits // WORD)].contiguous()


def unpacked(words: Tensor, bits: int, columns: int) -> Tensor:
    """The inverse of `packed`: levels [rows, columns] in int8."""
    rows = words.shape[0]
    padded = F.pad(words.long(), (0, -words.shape[1] % bits))
    ones = (padded.reshape(-1, bits, 1) >> torch.arange(WORD)) & 1
    counted = (ones.reshape(-1, WORD, bits) << torch.arange(bits)).sum(-1)
    return (counted - (1 << (bits - 1))).to(torch.int8).view(rows, -1)[:, :columns]


def floats(settings: Mapping[str, Any], there: dict[str, Stored], where: str) -> dict[str, Stored]:
    """The tensors of a folder with those in few bits as the floats that they stand for.

    Args:
        settings: the content of config.json.
        there: the tensors as they lie there.
        where: the path of config.json.

    Raises:
        CheckpointError: they are quantized in a way that is not ours.
    """
    said = settings.get(KEY)
    if said is None:
        return there
    scheme = _scheme(said)
    if scheme is None:
        rule = "is not compressed-tensors of symmetric integers with a step an output or a group"
        fix = "import the weights from before quantization"
        raise CheckpointError(Problem(f"{where}: {KEY}", None, rule, fix))
    found = dict(there)
    for key in [key for key in there if key.endswith(".weight_scale")]:
        name, scale = key.removesuffix("_scale"), found.pop(key)
        levels, shape = found.pop(f"{name}_packed", None), found.pop(f"{name}_shape", None)
        try:
            found[name] = _float(levels or found[name], scale, shape, scheme)
        except (LookupError, TypeError, ValueError, RuntimeError):
            rule = f"does not fit {scale.path.name}: {printable(key)}"
            raise CheckpointError(Problem(f"{where}: {KEY}", None, rule)) from None
    return found


def _scheme(said: Any) -> Scheme | None:
    """The scheme of which `described` would say the same."""
    try:
        (group,) = said["config_groups"].values()
        weights, inputs = group["weights"], group.get("input_activations")
        activations = None if inputs is None else inputs["num_bits"]
        scheme = Scheme(weights["num_bits"], activations, weights.get("group_size"))
        ours = described(scheme, [], said["format"])["config_groups"]["group_0"]
        fits = said["quant_method"] == "compressed-tensors" and said["format"] in KINDS
        numbers = all(type(n) in (int, type(None)) for n in astuple(scheme))
        same = ours["weights"] == weights and ours["input_activations"] == inputs
        return scheme if fits and numbers and same and 2 <= scheme.weights <= 8 else None
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _float(levels: Stored, scale: Stored, shape: Stored | None, scheme: Scheme) -> Packed:
    """A weight in float32, made when it is read."""
    bits = scheme.weights
    if shape is not None and shape.dtype not in WHOLE[64]:
        raise ValueError(shape.dtype)
    if levels.dtype not in WHOLE[8 if shape is None else WORD]:
        raise ValueError(levels.dtype)
    rows, columns = levels.shape if shape is None else shape.load().tolist()
    first, groups = scale.shape
    shared = scheme.group or columns
    if first != rows or columns != groups * shared or scale.dtype not in FLOATS:
        raise ValueError(scale.shape)
    words = -(-columns * bits // WORD)
    if levels.shape != ((rows, columns) if shape is None else (rows, words)):
        raise ValueError(levels.shape)

    def grid() -> tuple[Tensor, Tensor]:
        whole = levels.load() if shape is None else unpacked(levels.load(), bits, columns)
        return scale.read().unsqueeze(-1), whole.float().view(rows, groups, -1)

    def load() -> Tensor:
        steps, numbers = grid()
        return (numbers * steps).view(rows, columns)

    return Packed(
        levels.path, (rows, columns), "F32", load, scheme, lambda: unrounded(*grid(), bits)
    )
