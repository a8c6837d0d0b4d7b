"""A trained model before it is loaded: looked up in the folder of its run, and whether it is whole.

Nothing here needs torch, so that every mistake about a run, a checkpoint, a rounding or a text is
reported at once and before anything expensive starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslm.errors import Problem, Problems, UserError
from dslm.inference.mistakes import check_language, check_trained, mended
from dslm.objectives.base import Objective
from dslm.quantization.config import (
    CALIBRATION_ROWS,
    QuantizationConfig,
    check_quantization,
)
from dslm.run.best import Step
from dslm.run.checkpoint import verify_sizes
from dslm.run.config import RunConfig
from dslm.run.folder import RunFolder
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Task
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.train.data import objective_of


@dataclass(frozen=True)
class Calibration:
    """The text for whose sake weights are rounded."""

    shards: ShardSet
    rows: int = CALIBRATION_ROWS
    """How many, evenly spread over the shards."""


@dataclass(frozen=True)
class Selected:
    """A model that can be loaded."""

    folder: RunFolder
    config: RunConfig
    step: int
    checkpoint: Path
    objective: Objective
    """What it was trained for."""
    tokenizer: Tokenizer
    quantization: QuantizationConfig
    """What is rounded."""
    calibration: Calibration | None = None


def select(
    run: Path,
    step: Step = None,
    quantization: QuantizationConfig | None = None,
    calibration: Calibration | None = None,
) -> Selected:
    """Look up a model.

    Args:
        run: the folder of its run.
        step: which checkpoint, by number or as ``best``; the newest unless given.
        quantization: what is rounded; as in training unless given.
        calibration: the text for which linear maps are rounded; to nearest unless given.

    Raises:
        UserError: with everything that is wrong: no such run or checkpoint, a file that is missing
            or cut short, a head that was never trained, nothing to calibrate, or a text of another
            tokenizer.
    """
    folder, found = RunFolder.open(run, steps=True), Problems()
    config = found.collect(folder.read_config)
    if config is not None:
        found.collect(check_trained, folder)
    checkpoint = found.collect(folder.find_checkpoint, step)
    if checkpoint is not None:
        found.problems += mended(folder, checkpoint[0], verify_sizes(checkpoint[1], moments=False))
    tokenizer = found.collect(load_tokenizer, folder.tokenizer)
    rounded = quantization
    if rounded is None and config is not None and checkpoint is not None:
        rounded = rounded_in_training(config, checkpoint[0])
    elif quantization is not None and config is not None:
        found.problems += check_quantization(quantization, config.model.map_inputs)
    if calibration is not None:
        if rounded is not None and rounded.selected is None:
            shards = str(calibration.shards.folder)
            rule = "nothing is rounded"
            found.problems.append(Problem("--calibrate", shards, rule, "give --scheme"))
        if tokenizer is not None:
            found.collect(check_language, run, tokenizer, calibration.shards)
    objective = None
    if config is not None and tokenizer is not None:
        objective = found.collect(
            objective_of, config, folder.tokenizer, (), bool(_learned(folder).get("units"))
        )
    if found.problems or config is None or checkpoint is None or tokenizer is None:
        raise UserError(*found.problems)
    assert objective is not None
    assert rounded is not None
    return Selected(folder, config, *checkpoint, objective, tokenizer, rounded, calibration)


def classes_of(run: Path, task: Task) -> tuple[str, ...]:
    """What the classes of a run are called that was trained for a task; none for another one."""
    folder = RunFolder(run)
    if folder.read()["config"]["objective"]["kind"] != task.kind:
        return ()
    return tuple(_learned(folder).get("classes", ()))


def _learned(folder: RunFolder) -> dict[str, Any]:
    """What is recorded of the shard set that a run has learned from."""
    data: dict[str, Any] = folder.read().get("data", {})
    first: dict[str, Any] = (data.get("train") or [data])[0]  # an imported run has no set
    return first


def rounded_in_training(config: RunConfig, step: int) -> QuantizationConfig:
    """What the training rounded whose checkpoint is that of a step."""
    last = max(step - 1, 0)  # an imported model has made no step
    trained = config.quantization
    return trained if trained.rounds(last) else QuantizationConfig()
