"""Which models `dslm.inference.comparison` compares; looked up without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dslm.errors import ConfigError, Problem
from dslm.inference.selection import rounded_in_training
from dslm.quantization.config import QuantizationConfig
from dslm.run.folder import RunFolder
from dslm.run.init_from import FREE


@dataclass(frozen=True)
class Compared:
    """What is compared."""

    floats: Path
    """The run that was trained as floats."""
    quantization: QuantizationConfig
    """What is rounded."""
    trained: Path | None = None
    """The run that was trained rounded, if there is one."""


def which(run: Path, floats: Path | None, quantization: QuantizationConfig | None) -> Compared:
    """What there is to compare a run with.

    Args:
        run: trained rounded, or as floats.
        floats: the float run; unless given the one that a rounded run began with.
        quantization: what a float run is rounded to.

    Raises:
        UserError: there is no such run, or nothing to compare.
    """
    folder = RunFolder.open(run)
    config = folder.read_config()
    used = rounded_in_training(config, folder.find_checkpoint(None)[0])
    problems = []
    if used.selected is None:
        if floats is not None:
            rule = f"{run} was trained as floats itself"
            problems.append(Problem("--float", str(floats), rule, "leave it out"))
        if quantization is None or quantization.selected is None:
            rule = f"{run} was trained as floats: rounded to what?"
            problems.append(Problem("--scheme", None, rule, "give one, such as w4"))
        found = Compared(run, quantization or used)
    else:
        if quantization is not None:
            rule = f"{run} was trained with {used.scheme}"
            problems.append(Problem("--scheme", quantization.scheme, rule, "leave it out"))
        source = floats or Path(config.init_from or "")
        if floats is None and not (config.init_from and source.is_dir()):
            begun = f"began with {source}, which is gone" if config.init_from else "began with none"
            fix = "name the float run to compare it with"
            problems.append(Problem("--float", None, f"{run} {begun}", fix))
        else:
            problems += _check_floats(source, run)
        found = Compared(source, used, run)
    if problems:
        raise ConfigError(*problems)
    return found


def _check_floats(source: Path, run: Path) -> list[Problem]:
    """Why a run is not one of floats to compare a rounded one with."""
    folder, problems = RunFolder.open(source), []
    if _shape(source) != _shape(run):
        rule, fix = f"is of another shape than {run}", "name a run of the same"
        problems.append(Problem("--float", str(source), rule, fix))
    used = rounded_in_training(folder.read_config(), folder.find_checkpoint(None)[0])
    if used.selected is not None:
        rule, fix = f"was trained with {used.scheme} itself", "name a run trained as floats"
        problems.append(Problem("--float", str(source), rule, fix))
    return problems


def _shape(run: Path) -> dict[str, Any]:
    """The settings of a model that decide on its weights."""
    model = asdict(RunFolder(run).read_config().model)
    return {key: value for key, value in model.items() if key not in FREE}
