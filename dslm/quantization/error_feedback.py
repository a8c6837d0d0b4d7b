"""Rounding a weight so that what it computes changes least: GPTQ (Frantar et al. 2022).

https://arxiv.org/abs/2210.17323: the columns of a weight are rounded one after the other, and those
still to come are changed so that they make up, as well as they can, for the error of each. Here the
grid is that of the original weight, hence known for all columns beforehand, and those whose inputs
are largest come first, while most others are left to make up for them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dslm.quantization.rounding import level_range

DAMPING = 0.01
"""Added to the diagonal of the Hessian, times its mean: as in the paper."""
BLOCK = 128
"""Columns that are rounded before all behind them are changed, in one product."""


@torch.no_grad()
def error_feedback(weight: Tensor, hessian: Tensor, steps: Tensor, bits: int) -> Tensor:
    """The levels of a weight, chosen for its inputs.

    An input that is always zero, and every one where the Hessian is diagonal, is rounded to
    nearest.

    Args:
        weight: [out, in].
        hessian: [in, in], the sum of x xᵀ over inputs x; any multiple does as well.
        steps: [out, groups, 1], those of the weight.
        bits: of a level.

    Returns:
        [out, groups, in / groups], whole numbers in float32.
    """
    width, group = weight.shape[1], weight.shape[1] // steps.shape[1]
    order = hessian.diagonal().argsort(descending=True, stable=True)
    factor = _factor(hessian[order][:, order])
    left = weight.float().T[order]
    own = steps[:, :, 0].T[order // group]
    levels = torch.empty_like(left)
    for first in range(0, width, BLOCK):
        part = slice(first, first + BLOCK)
        levels[part], errors = _block(left[part], own[part], factor[part, part], bits)
        left[first + BLOCK :].addmm_(factor[part, first + BLOCK :].T, errors, alpha=-1)
    found = torch.empty_like(levels)
    found[order] = levels
    return found.T.reshape(len(weight), -1, group)


def _block(left: Tensor, steps: Tensor, factor: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Levels of some columns, given as rows [columns, out], and their errors as fed back."""
    lowest, highest = level_range(bits)
    levels, errors = torch.empty_like(left), torch.empty_like(left)
    for place, scale in enumerate(factor.diagonal().tolist()):
        number, step = left[place], steps[place]
        level = torch.div(number, step, out=levels[place]).round_().clamp_(lowest, highest)
        error = torch.addcmul(number, level, step, value=-1, out=errors[place]).div_(scale)
        left[place + 1 :].addr_(factor[place, place + 1 :], error, alpha=-1)
    return levels, errors


def _factor(hessian: Tensor) -> Tensor:
    """The upper triangular U with UᵀU the inverse of the damped Hessian.

    Its row i, over its first number that is none of zero, says what the columns behind i take over
    of an error in column i.
    """
    damped = hessian.double()
    # Where no input was seen, any number makes it the identity.
    damped.diagonal().add_(DAMPING * damped.diagonal().mean() or 1.0)
    # From the last column to the first, so that a single factorization is enough: a lower
    # triangle there is an upper one here.
    lower = torch.linalg.cholesky(damped.flip(0, 1))
    identity = torch.eye(len(hessian), dtype=lower.dtype, device=lower.device)
    inverse: Tensor = torch.linalg.solve_triangular(lower, identity, upper=False)
    return inverse.flip(0, 1).float()
