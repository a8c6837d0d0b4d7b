"""A trained model, back from the folder of its run on one device, without DeepSpeed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from dslm.config.parse import parse
from dslm.errors import CheckpointError, Problem
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.base import Objective
from dslm.progress import Progress
from dslm.run.checkpoint import checkpoints, verify
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


def load(run: Path, step: int | None = None) -> Trained:
    """Load a model from a run folder, its checksums compared.

    Args:
        run: the folder.
        step: which checkpoint; the newest unless told.

    Raises:
        CheckpointError: no such run or checkpoint, or a damaged one.
    """
    folder = RunFolder(run)
    config = parse(RunConfig, folder.read()["config"])
    there = dict(checkpoints(folder.checkpoints))
    if not there or (step is not None and step not in there):
        rule = f"has no checkpoint of step {step}" if there else "has no checkpoint yet"
        known = ", ".join(str(known) for known in sorted(there))
        raise CheckpointError(Problem(str(run), None, rule, known and f"choose from {known}"))
    chosen = max(there) if step is None else step
    _verify(there[chosen])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    objective = objective_of(config, folder.tokenizer)
    model = Transformer(stages(config.model, config.seed, objective.extras))
    model.load_state_dict(read_weights(there[chosen]))
    tokenizer = load_tokenizer(folder.tokenizer)
    model = model.to(device).eval()
    return Trained(run, config, model, objective, tokenizer, chosen, device)


def read_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint under the names of a `Transformer`."""
    weights = {}
    for file in sorted(checkpoint.glob("layer-*.safetensors")):
        if not file.name.endswith(".optimizer.safetensors"):
            weights.update({f"layers.{name}": tensor for name, tensor in load_file(file).items()})
    return weights


def _verify(checkpoint: Path) -> None:
    size = sum(file.stat().st_size for file in checkpoint.iterdir())
    with Progress(size, "B", "checking the checkpoint") as progress:
        problems = verify(checkpoint, progress.advance)
    if problems:
        raise CheckpointError(*problems)
