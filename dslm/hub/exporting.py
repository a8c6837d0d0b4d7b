"""A run as others load it, proved by reading it back before anybody sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dslm.errors import CheckpointError, TrainingError, UserError
from dslm.files.published import published
from dslm.hub.foresight import check_seen, check_unoccupied
from dslm.hub.formats import check_holds, open_format
from dslm.hub.manifest import Manifest, describe
from dslm.hub.proof import LOSS_TOLERANCE, SCORE_TOLERANCE, prove
from dslm.inference.calibration import calibrate
from dslm.inference.selection import Calibration, select
from dslm.inference.trained import load_selected
from dslm.quantization.config import QuantizationConfig
from dslm.run.best import Step


@dataclass(frozen=True)
class Exported:
    """What was written."""

    manifest: Manifest
    """What ``dslm_export.json`` says of it."""
    load: str
    """What to type to load it."""


def export_run(
    run: Path,
    folder: Path,
    step: Step = None,
    quantization: QuantizationConfig | None = None,
    format: str = "floats",
    calibration: Calibration | None = None,
) -> Exported:
    """Write a run's model as others load it.

    Args:
        run: the folder of the run.
        folder: the folder to make.
        step: which checkpoint; the newest unless given.
        quantization: what weights are rounded to; as in training unless given.
        format: one of `dslm.hub.formats.FORMATS`.
        calibration: the text for which linear maps are rounded; to nearest unless given.

    Raises:
        UserError: no such run, a model or tokenizer that cannot be expressed, or the folder is
            there already.
        TrainingError: what was written gives another loss or other scores.
    """
    if there := check_unoccupied(folder, "FOLDER"):
        raise CheckpointError(*there)
    chosen = select(run, step, quantization, calibration)
    trained = load_selected(replace(chosen, calibration=None), to_use=False)
    if problems := check_seen(trained.config.model, trained.objective):
        raise UserError(*problems)
    if problems := check_holds(format, trained):
        raise UserError(*problems)
    if calibration is not None:  # which takes long, so what is wrong has been said before
        calibrate(trained.model, trained.objective, calibration, trained.device)
    with published(folder) as target:
        written = open_format(format).write(trained, target)
        read = open_format(format).read(target)
        proof = prove(trained, read)
        if not proof.holds:
            raise TrainingError(
                f"{folder}: the written model's loss differs from the run's by "
                f"{proof.difference:.2g} (at most {LOSS_TOLERANCE:.0e}), a score by "
                f"{proof.score_difference:.2g} (at most {SCORE_TOLERANCE:.0e}): "
                "nothing was written"
            )
        made = describe(target, trained, format, written, bool(read.inputs), proof)
    return Exported(made, written.load(folder))
