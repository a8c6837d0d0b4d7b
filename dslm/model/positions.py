"""How a token knows its position: fixed tables, computed once for each device and kept in float32.

They are not buffers of a module, because a cast of the module to bfloat16 would take their
precision, and because ZeRO-3 and checkpoints need not know them.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
def sinusoidal(sequence: int, width: int, device: torch.device) -> Tensor:
    """Sine and cosine waves over the position (Vaswani et al. 2017, section 3.5).

    Returns:
        [sequence, width] float32, sines in even columns and cosines in odd ones.
    """
    angles = _angles(sequence, width, 10000.0, device)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def rotary(sequence: int, width: int, base: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding (Su et al. 2021, equation 34).

    Returns:
        Two tensors [sequence, width] float32, each half of the columns repeated.
    """
    return _rotary(sequence, width, base, device)


@lru_cache(maxsize=16)
def _rotary(sequence: int, width: int, base: float, device: torch.device) -> tuple[Tensor, Tensor]:
    angles = _angles(sequence, width, base, device).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn each pair of head coordinates (i, i + E/2) by its position's angle.

    Args:
        heads: [B, H, S, E].
        cosines: [S, E] float32, rows of `rotary` for these positions; or [B, 1, S, E].
        sines: the same.

    Returns:
        [B, H, S, E] in the dtype of `heads`.
    """
    first, second = heads.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (heads * cosines + turned * sines).to(heads.dtype)


def _angles(sequence: int, width: int, base: float, device: torch.device) -> Tensor:
    frequencies = base ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    positions = torch.arange(sequence, device=device, dtype=torch.float32)
    return positions[:, None] * frequencies
