"""A trained model, back from the folder of its run on one device, without DeepSpeed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from dslm.errors import ConfigError, Problem
from dslm.inference.calibration import Calibration, calibrate
from dslm.inference.mistakes import check_language, lost
from dslm.model.quantize import quantize, ready_for_use
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.base import Objective
from dslm.quantization.config import QuantizationConfig, check_quantization
from dslm.run.checkpoint import read_weights, require_whole
from dslm.run.config import RunConfig
from dslm.run.folder import RunFolder
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.train.data import objective_of


@dataclass(frozen=True)
class Trained:
    """A model with what is needed to use it."""

    run: Path
    config: RunConfig
    model: Transformer
    objective: Objective
    """What it was trained for."""
    tokenizer: Tokenizer
    step: int
    device: torch.device
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    """What the model rounds."""


def load(
    run: Path,
    step: int | None = None,
    quantization: QuantizationConfig | None = None,
    calibration: Calibration | None = None,
    *,
    to_use: bool = True,
) -> Trained:
    """Load a model from a run folder, its checksums compared.

    Args:
        run: the folder.
        step: which checkpoint; the newest unless given.
        quantization: what is rounded; as in training unless given.
        calibration: the text for which linear maps are rounded; to nearest unless given.
        to_use: whether the model will only be used; else its weights stay as they are stored,
            unless they are calibrated.

    Raises:
        UserError: no such run or checkpoint, a damaged one, or one of a run that had diverged;
            nothing to calibrate, or a text of another tokenizer.
    """
    folder = RunFolder(run)
    config = folder.read_config()
    step, checkpoint = folder.find_checkpoint(step)
    if quantization is None:
        quantization = rounded_in_training(config, step)
    elif problems := list(check_quantization(quantization, config.model.map_inputs)):
        raise ConfigError(*problems)
    if calibration is not None and quantization.selected is None:
        shards = str(calibration.shards.folder)
        raise ConfigError(Problem("--calibrate", shards, "nothing is rounded", "give --scheme"))
    require_whole(checkpoint, "checking the checkpoint")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    objective = objective_of(config, folder.tokenizer)
    with torch.device("meta"):  # shapes alone: nothing is drawn, nor held twice
        model = Transformer(stages(config.model, config.seed, objective.extras))
    model.layers.load_state_dict(_finite(read_weights(checkpoint)), assign=True)
    quantize(model, quantization)
    tokenizer = load_tokenizer(folder.tokenizer)
    model.to(device).eval()
    if calibration is not None:
        check_language(run, tokenizer, calibration.shards)
        calibrate(model, objective, calibration, device)
    if to_use:
        ready_for_use(model)
    return Trained(run, config, model, objective, tokenizer, step, device, quantization)


def rounded_in_training(config: RunConfig, step: int) -> QuantizationConfig:
    """What the training rounded whose checkpoint is that of a step."""
    last = max(step - 1, 0)  # an imported model has made no step
    trained = config.quantization
    return trained if trained.rounds(last) else QuantizationConfig()


def _finite(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights, if all their numbers are finite."""
    found = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if found:
        raise lost(f"{len(found)} of its weights, {found[0]} among them, are not finite")
    return weights
