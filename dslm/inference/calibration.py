"""Rounding after training that looks at text: each linear map for the inputs that it will get.

As in GPTQ (Frantar et al. 2022), block after block: some rows are read as far as a block whose
predecessors are rounded already, the inputs of its linear maps are summed up, and
`dslm.quantization.error_feedback` rounds them. Embeddings, whose inputs are single ids, are rounded
to nearest, which is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from dslm.errors import DataError, Problem
from dslm.inference.mistakes import lost
from dslm.inference.selection import Calibration
from dslm.model.layers import Linear
from dslm.model.quantize import put
from dslm.model.stages import Value, with_mask
from dslm.model.transformer import Transformer
from dslm.objectives.base import Objective
from dslm.progress import Progress
from dslm.quantization.config import Scheme
from dslm.quantization.error_feedback import error_feedback
from dslm.quantization.rounding import Quantizer
from dslm.train.batches import evaluation_rows, evenly, moved


@torch.no_grad()
def calibrate(
    model: Transformer, objective: Objective, calibration: Calibration, device: torch.device
) -> None:
    """Round the linear maps that are to be, see `put`.

    At a time the sums of one block are held, and what the rows have become so far.

    Args:
        model: with layers that round, in evaluation mode.
        objective: what it was trained for; makes its inputs.
        calibration: the text.
        device: where the model is.

    Raises:
        UserError: the shards hold no row, or the model's numbers are not finite.
    """
    source = evaluation_rows(calibration.shards, objective)
    make, stages = objective.held_out()["loss"], [stage for _, stage in model.calls]
    values: list[Value] = []
    for samples in evenly(source, calibration.rows):
        inputs, _ = moved(make(samples), lambda tensor: tensor.to(device))
        values.append(with_mask(inputs, stages, training=False))
    if not values:
        rule = f"is shorter than a row of the model, {source.width} tokens"
        raise DataError(Problem(str(calibration.shards.folder), None, rule, "use a longer text"))
    left = {key: maps for key, layer in model.layers.items() if (maps := _maps(layer))}
    with Progress(sum(map(len, left.values())), "layers", "calibrating") as progress:
        for key, stage in model.calls:
            layer, maps = model.layers[key], left.pop(key, [])
            if maps:
                _round(maps, [partial(stage.apply, layer, value) for value in values])
                progress.advance(len(maps))
            if not left:
                return
            values = [stage.apply(layer, value) for value in values]


def _maps(layer: nn.Module) -> list[Linear]:
    """The linear maps of a layer that are to be rounded."""
    maps = (module for module in layer.modules() if isinstance(module, Linear))
    return [linear for linear in maps if linear.quantizer is not None]


def _round(maps: list[Linear], calls: Sequence[Callable[[], Value]]) -> None:
    """Round some maps for what they get when their layer is called."""
    collectors = []
    for linear in maps:
        if linear.quantizer is not None:
            linear.quantizer = _Collector(linear.quantizer.scheme, linear.weight)
            collectors.append(linear.quantizer)
    for call in calls:
        call()
    for linear, collector in zip(maps, collectors, strict=True):
        hessian = collector.hessian
        if not hessian.isfinite().all():
            raise lost("what its layers get is not finite")
        steps, _ = collector.grid(linear.weight)
        bits = collector.scheme.weights
        put(linear, steps, error_feedback(linear.weight, hessian, steps, bits))


class _Collector(Quantizer):
    """Sums up the inputs of a map, rounded where they are to be; the weight is left as it is."""

    def __init__(self, scheme: Scheme, weight: Tensor) -> None:
        super().__init__(scheme)
        self.hessian = torch.zeros(weight.shape[1], weight.shape[1], device=weight.device)

    def weight(self, weight: Tensor) -> Tensor:
        """The weight as it is."""
        return weight

    def inputs(self, inputs: Tensor) -> Tensor:
        """The inputs as the product will read them, added to the sum of x xᵀ."""
        made = super().inputs(inputs)
        tokens = made.flatten(0, -2).float()
        self.hessian.addmm_(tokens.T, tokens)
        return made
