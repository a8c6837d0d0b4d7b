"""Rounded weights in llama.cpp's blocks: 32 neighbours of a row and the step that they share.

Q8_0 is the step in float16 and 32 levels of 8 bits; Q4_0 the step and 16 bytes, each a level in
its lower half and the level 16 places further in its upper half, both counted from -8. So what
training rounded to is held exactly: levels of 4 bits and less, of 8 bits and less, and steps of 8
significant bits that are shared by blocks, or by several.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

BLOCK = 32
"""Weights that share a step."""

Bytes = npt.NDArray[np.uint8]


def blocks(steps: Tensor, levels: Tensor, bits: int) -> tuple[str, Bytes] | None:
    """Rounded weights as their blocks.

    Args:
        steps: [out, groups, 1], in float32.
        levels: [out, groups, in / groups], in int8; groups are of whole blocks.
        bits: of a level.

    Returns:
        Their kind and their bytes [out, bytes of a row]; `None` where float16 cannot hold a step.
    """
    rows, shared = len(levels), levels.shape[-1]
    halves = steps.half()
    if not torch.equal(halves.float(), steps):
        return None
    repeated = halves.expand(-1, -1, shared // BLOCK).reshape(rows, -1, 1)
    whole = levels.reshape(rows, -1, BLOCK)
    kind, held = "Q8_0", whole.view(torch.uint8)
    if bits <= 4:
        lower, upper = (whole + 8).view(torch.uint8).chunk(2, dim=-1)
        kind, held = "Q4_0", lower | upper << 4
    made = torch.cat([repeated.contiguous().view(torch.uint8), held], dim=-1)
    return kind, made.view(rows, -1).numpy()


def floats(kind: str, held: npt.NDArray[Any]) -> Tensor:
    """The inverse of `blocks`, in float32; other kinds are floats already."""
    if kind not in ("Q8_0", "Q4_0"):
        return torch.from_numpy(held.astype(np.float32))
    rows, size = len(held), 2 + (BLOCK if kind == "Q8_0" else BLOCK // 2)
    found = torch.from_numpy(held.copy()).view(rows, -1, size)
    steps = found[..., :2].contiguous().view(torch.float16).float()
    levels = found[..., 2:].contiguous()
    if kind == "Q8_0":
        whole = levels.view(torch.int8).float()
    else:
        whole = torch.cat([levels & 15, levels >> 4], dim=-1).float() - 8
    return (steps * whole).view(rows, -1)
