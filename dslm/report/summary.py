"""A run in a line: how it stands, what it is, how far it came and how good it became."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from dslm.errors import CheckpointError, Problem, UserError
from dslm.files.typed import typed
from dslm.report.figures import best
from dslm.report.record import NoStepError, Record, read_record
from dslm.report.series import Point, series, settled
from dslm.run.folder import RunFolder
from dslm.run.standing import Standing, read_standing

UNREADABLE = "unreadable"
"""How a run stands whose files are broken."""


@dataclass(frozen=True)
class Summary:
    """What is known of a run; what is not is `None` or empty."""

    folder: Path
    standing: Standing
    preset: str = ""
    parameters: int | None = None
    steps: int | None = None
    """How many it is to make."""
    step: int = 0
    """How many it has made."""
    loss: float | None = None
    """Of training, noise left out."""
    validation: Point | None = None
    """The best one."""
    tokens_per_second: float | None = None
    started: str = ""
    """In the form of ISO 8601."""
    seconds: float = 0.0
    """Of training."""
    record: Record | None = field(default=None, repr=False)
    """What all of this is from; `None` where no step has been logged."""


def summarize(record: Record) -> Summary:
    """A run that has logged steps in a line."""
    log = record.log
    speeds = [p.value for p in series(log.training, "tokens_per_second") if p.finite]
    return replace(
        _begun(record.folder, record.facts),
        parameters=record.fact(int, "plan", "parameters"),
        step=log.training[-1].step,
        loss=settled(series(log.training, "loss")),
        validation=best(series(log.evaluations, "validation_loss")),
        tokens_per_second=median(speeds) if speeds else None,
        seconds=log.seconds if math.isfinite(log.seconds) else 0.0,
        record=record,
    )


def read_summary(folder: Path) -> Summary:
    """A run in a line, whatever its folder holds."""
    try:
        return summarize(read_record(folder))
    except NoStepError:
        return _begun(folder, RunFolder(folder).read())
    except UserError as error:
        return Summary(folder, Standing(UNREADABLE, str(error)))


def _begun(folder: Path, facts: Mapping[str, Any]) -> Summary:
    """What the ``run.json`` of a run says."""
    config = facts["config"]
    return Summary(
        folder,
        read_standing(RunFolder(folder), facts),
        str(config.get("preset") or ""),
        steps=typed(config.get("steps"), int),
        started=str(facts.get("started") or ""),
    )


def find_runs(folder: Path) -> Iterator[Path]:
    """The folders of all runs in a folder and below it, in the order of their names.

    Links to folders come after the folders beside them, and what has been seen is not seen again.

    Raises:
        CheckpointError: there is no such folder.
    """
    if not folder.is_dir():
        raise CheckpointError(Problem(str(folder), None, "there is no such folder"))
    seen = set[str]()
    for path, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if "run.json" in files:
            yield Path(path)
            folders.clear()  # what lies within belongs to the run
        shown = [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(shown, key=lambda name: (Path(path, name).is_symlink(), name))


def labels(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart: ``a`` and ``b``, or ``x/run`` and ``y/run``.

    Args:
        folders: no two are the same.
    """
    paths = [folder.resolve().parts for folder in folders]
    for length in count(1):
        ends = ["/".join(parts[-length:]) for parts in paths]
        if len(set(ends)) == len(ends):
            return ends
    raise AssertionError("count never ends")
