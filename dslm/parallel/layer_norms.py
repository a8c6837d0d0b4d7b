"""Norms of the gradient and of the weights of each layer, the same in every layout.

They are measured between the backward pass and the update, when gradients are averaged over the
replicas and not yet clipped, and gathered one weight at a time, so that memory stays flat.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from dslm.parallel.engine import Engine
from dslm.parallel.frozen import whole


class LayerNorms:
    """Looks at the steps for which `wanted` is set; all ranks must set it alike.

    Args:
        engine: the model, laid out.
        layers: how many layers it has.
    """

    def __init__(self, engine: Engine, layers: int) -> None:
        self.engine, self.wanted = engine, False
        self.squares = torch.zeros(layers, 2, dtype=torch.float64)
        wrapped, optimizer = engine.engine, engine.engine.optimizer
        self.plain = isinstance(optimizer, torch.optim.Optimizer)
        if self.plain and wrapped.gradient_clipping():
            wrapped.clip_fp32_gradients = self._before(wrapped.clip_fp32_gradients)
        else:
            optimizer.step = self._before(optimizer.step)

    def pop(self) -> dict[str, float]:
        """What the last step looked at had; every rank must call it.

        Returns:
            ``gradient_norm/INDEX`` and ``weight_norm/INDEX`` of each layer with weights, Euclidean
            norms over all of them; a tied weight counts where it is first used.
        """
        squares = self.squares.to(self.engine.engine.device, torch.float32)
        torch.distributed.all_reduce(squares)
        self.squares.zero_()
        norms = squares.sqrt().tolist()
        kinds = ("gradient_norm", "weight_norm")
        return {
            f"{kind}/{index}": pair[column]
            for column, kind in enumerate(kinds)
            for index, pair in enumerate(norms)
            if pair[1]
        }

    def _before(self, step: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(step)
        def look_first(*arguments: Any, **more: Any) -> Any:
            if self.wanted:
                self._look()
            return step(*arguments, **more)

        return look_first

    @torch.no_grad()
    def _look(self) -> None:
        """Add up squares, each of one rank alone; the others take part in gathering."""
        engine = self.engine
        self.squares.zero_()
        scale = float(getattr(engine.engine.optimizer, "loss_scale", 1.0))
        for name, weight in engine.parameters().items():
            gradient, master = self._gathered(weight)
            index = int(name.partition(".")[0])
            if engine.copy == 0 and name in engine.counted_weights:
                if gradient is not None:
                    self.squares[index, 0] += float(gradient.double().norm() / scale) ** 2
                self.squares[index, 1] += float(master.double().norm()) ** 2

    def _gathered(self, weight: nn.Parameter) -> tuple[Tensor | None, Tensor]:
        """The gradient and the float32 master of a weight, of all copies."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_grad

        if not weight.requires_grad:
            return None, whole(weight)
        if self.plain:
            return weight.grad, weight
        return safe_get_full_grad(weight), safe_get_full_fp32_param(weight)
