"""A run as others load it, proved by reading it back before anybody sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from dslm.errors import CheckpointError, Problem, TrainingError, UserError
from dslm.files.published import occupied, published
from dslm.hub.formats import ReadBack, Written, check_format, open_format
from dslm.inference.trained import Trained, load
from dslm.model.config import ModelConfig
from dslm.model.quantize import rounding, set_quantizer
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.quantization.config import QuantizationConfig, Scheme
from dslm.quantization.rounding import InputQuantizer, Quantizer

TOLERANCE = 1e-5
"""By how much scores of the exported model may differ from the run's."""

WINDOW = 64
"""Tokens of each text on which they are compared, at most."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    difference: float
    """The largest difference between scores of the written model and of the run's."""
    quantization: QuantizationConfig
    """What the weights were rounded to."""
    written: Written
    """What loads it."""
    rounds_inputs: bool
    """Whether what loads it rounds the inputs of layers."""


def export_run(
    run: Path,
    folder: Path,
    step: int | None = None,
    quantization: QuantizationConfig | None = None,
    format: str = "floats",
) -> Exported:
    """Write a run's model as others load it.

    Args:
        run: the folder of the run.
        folder: the folder to make.
        step: which checkpoint; the newest unless given.
        quantization: what weights are rounded to; as in training unless given.
        format: one of `dslm.hub.formats.FORMATS`.

    Raises:
        UserError: no such run, a model or tokenizer that cannot be expressed, or the folder is
            there already.
        TrainingError: what was written gives other scores.
    """
    if occupied(folder):
        fix = "remove it or choose another FOLDER"
        raise CheckpointError(Problem(str(folder), None, "is there already", fix))
    trained = load(run, step, quantization, to_use=False)
    if problems := check_format(format, trained):
        raise UserError(*problems)
    with published(folder) as target:
        written = open_format(format).write(trained, target)
        read = open_format(format).read(target)
        difference = _difference(read, trained)
        if not difference <= TOLERANCE:
            raise TrainingError(
                f"{folder}: the written model's scores differ from the run's by {difference:.2g}, "
                f"more than {TOLERANCE:.0e}: nothing was written"
            )
    return Exported(difference, trained.quantization, written, bool(read.inputs))


@torch.no_grad()
def _difference(read: ReadBack, trained: Trained) -> float:
    """The largest difference of scores between what was written and the run's model.

    Of a model that sees all tokens, with segments and padding.
    """
    draws, length = torch.Generator().manual_seed(0), min(WINDOW, read.config.sequence)
    inputs = {"tokens": torch.randint(read.config.size, (2, length), generator=draws)}
    if trained.config.model.attention != "causal":
        inputs["segments"] = torch.randint(read.config.segments, (2, length), generator=draws)
        inputs["visibility"] = -(torch.arange(length) < torch.tensor([[length], [5]])).long()
    theirs = _model(read.config, read.weights, list(inputs)[1:])
    for name, bits in read.inputs.items():
        set_quantizer(theirs, [name], InputQuantizer(Scheme(bits, bits, None)))
    ours = _model(trained.config.model, trained.model.state_dict(), list(inputs)[1:])
    if scheme := trained.quantization.selected:
        kept = Quantizer(scheme if read.inputs else replace(scheme, activations=None))
        set_quantizer(ours, rounding(trained.model), kept)
    pairs = zip(*(_scores(one, inputs, trained.device) for one in (theirs, ours)), strict=True)
    return float(torch.stack([(one - other).abs().max() for one, other in pairs]).max())


def _model(config: ModelConfig, weights: Mapping[str, Tensor], extras: list[str]) -> Transformer:
    with torch.device("meta"):
        model = Transformer(stages(config, 0, extras))
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _scores(
    model: Transformer, inputs: Mapping[str, Tensor], device: torch.device
) -> tuple[Tensor, ...]:
    """What a model makes of tokens and what they carry along."""
    tokens, *extras = (tensor.to(device) for tensor in inputs.values())
    outputs = model.to(device)((tokens, *extras) if extras else tokens)
    return outputs if isinstance(outputs, tuple) else (outputs,)
