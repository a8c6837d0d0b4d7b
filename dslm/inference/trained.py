"""A trained model, back from the folder of its run on one device, without DeepSpeed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from dslm.environment import World
from dslm.errors import CheckpointError
from dslm.inference.calibration import calibrate
from dslm.inference.mistakes import lost, mended
from dslm.inference.selection import Calibration, Selected, select
from dslm.inference.shared import SharedTransformer, join_quietly
from dslm.model.low_rank import merged
from dslm.model.quantize import quantize, ready_for_use
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.base import Objective
from dslm.parallel.world import device as device_of
from dslm.quantization.config import QuantizationConfig
from dslm.run.best import Step
from dslm.run.checkpoint import read_weights, verify_weights
from dslm.run.config import RunConfig
from dslm.tokenizers.tokenizer import Tokenizer

ALONE = World()


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
    step: Step = None,
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
    return load_selected(select(run, step, quantization, calibration), to_use=to_use)


def load_selected(chosen: Selected, world: World = ALONE, *, to_use: bool = True) -> Trained:
    """Load a model that has been looked up.

    Args:
        chosen: from `select`.
        world: the ranks that share it, each of which must call it.
        to_use: as for `load`.

    Raises:
        UserError: it is damaged, or its run had diverged.
    """
    config, objective = chosen.config, chosen.objective
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layers = stages(config.model, config.seed, objective.extras)
    with torch.device("meta"):  # shapes alone: nothing is drawn, nor held twice
        model = Transformer(layers) if world.size == 1 else SharedTransformer(layers, world)
    weights = merged(stored_weights(chosen, [*map(int, model.layers)]), config.lora)
    model.layers.load_state_dict(weights, assign=True)
    if world.size > 1:
        join_quietly(world)
        device = torch.device(device_of(world))
    quantize(model, chosen.quantization)
    model.to(device).eval()
    if chosen.calibration is not None:
        calibrate(model, objective, chosen.calibration, device)
    if to_use:
        ready_for_use(model)
    return Trained(
        chosen.folder.path,
        config,
        model,
        objective,
        chosen.tokenizer,
        chosen.step,
        device,
        chosen.quantization,
    )


def stored_weights(chosen: Selected, layers: Sequence[int] | None = None) -> dict[str, Tensor]:
    """The weights of a checkpoint as they are stored, adapters apart, their checksums compared.

    Args:
        chosen: the model.
        layers: the indices of those wanted; all without it.

    Raises:
        UserError: they are damaged, or their run had diverged.
    """
    if wrong := verify_weights(chosen.checkpoint, "checking the checkpoint"):
        raise CheckpointError(*mended(chosen.folder, chosen.step, wrong))
    return _finite(read_weights(chosen.checkpoint, layers))


def _finite(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights, if all their numbers are finite."""
    found = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if found:
        raise lost(f"{len(found)} of its weights, {found[0]} among them, are not finite")
    return weights
