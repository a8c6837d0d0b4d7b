"""What checkpoints a run has: how far each one is, how good, and whether it is whole.

Whether it is whole is seen from the sizes of its files alone, in no time; `checkpoint.verify`
compares every byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dslm.errors import Problem, UserError
from dslm.files.whole import read_json
from dslm.run.best import LOSS, best
from dslm.run.checkpoint import checkpoints, read_state, total_bytes, unfinished, verify_sizes
from dslm.run.folder import RunFolder
from dslm.run.metrics import Line, read_metrics
from dslm.run.standing import is_free


@dataclass(frozen=True)
class Measured:
    """A number of the metrics, and the step of it, which may be an earlier one."""

    value: float
    step: int


@dataclass(frozen=True)
class Listed:
    """A checkpoint."""

    step: int
    path: Path
    samples: int | None
    """Windows read until then; `None` where this cannot be read."""
    tokens: int | None
    loss: Measured | None
    """The last one measured until this step."""
    validation_loss: Measured | None
    metric: Measured | None
    """Of a task, the one by which the best is chosen."""
    bytes: int
    written: str
    """When, as ISO 8601 in UTC."""
    layout: Mapping[str, Any]
    """How the ranks that wrote it shared the work; empty where it was not written down."""
    is_milestone: bool
    """Whether `keep_every` of the run keeps it."""
    damage: Sequence[Problem]
    """What is wrong with it at first sight."""


@dataclass(frozen=True)
class Unfinished:
    """A folder that a run is writing or removing, or was when it was killed."""

    path: Path
    bytes: int
    written: str


@dataclass(frozen=True)
class Inventory:
    """The checkpoints of a run, the newest first."""

    checkpoints: Sequence[Listed]
    unfinished: Sequence[Unfinished]
    newest_whole: int | None
    """The step from which the run would go on."""
    best: int | None
    """The step of the best one, see `dslm.run.best`…"""
    best_by: str
    """… and by what it is chosen: ``loss``, or a metric."""
    keep: int | None
    """How many of the newest the run keeps by its own settings…"""
    keep_every: int | None
    """… and of which multiples all; `None` where it keeps none, or this is not known."""
    in_use: bool
    """Whether a run is writing there now."""


def known_record(folder: RunFolder) -> dict[str, Any]:
    """What ``run.json`` holds; empty where it is lost."""
    with suppress(UserError):
        return folder.read()
    return {}


def own_record(checkpoint: Path) -> dict[str, Any]:
    """A checkpoint's copy of ``run.json``; empty where it has none."""
    with suppress(UserError):
        return read_json(checkpoint / "run.json")
    return {}


def described(checkpoint: Path, key: str, before: str) -> dict[str, Any]:
    """What a checkpoint says of how it was written.

    Args:
        checkpoint: the folder.
        key: of its manifest.
        before: the key of its copy of ``run.json`` where the manifest does not say it.
    """
    with suppress(UserError):
        found = read_json(checkpoint / "manifest.json").get(key)
        if isinstance(found, dict) and found:
            return found
    found = own_record(checkpoint).get(before)
    return found if isinstance(found, dict) else {}


def damage(
    checkpoint: Path, check: Callable[[Path], list[Problem]] = verify_sizes
) -> list[Problem]:
    """What is wrong with a checkpoint, also where that keeps the check from going on."""
    try:
        return check(checkpoint)
    except UserError as error:
        return list(error.problems)
    except OSError as error:
        where = str(error.filename or checkpoint)
        return [Problem(where, None, f"cannot be read: {error.strerror}")]


def take_inventory(folder: RunFolder) -> Inventory:
    """What checkpoints a run has, without reading their tensors."""
    config = known_record(folder).get("config", {})
    keep, keep_every = (positive(config.get(key)) for key in ("keep", "keep_every"))
    by, lines = str(config.get("best_by") or LOSS), read_metrics(folder.metrics)
    listed = [
        _listed(step, path, lines, keep_every, by) for step, path in checkpoints(folder.checkpoints)
    ]
    there = [one for one in listed if one.path.is_dir()]  # a run in training removes some
    return Inventory(
        checkpoints=there,
        unfinished=[
            Unfinished(path, folder_bytes(path), _written(path))
            for path in unfinished(folder.checkpoints)
        ],
        newest_whole=max((one.step for one in there if not one.damage), default=None),
        best=best(folder.checkpoints),
        best_by=by,
        keep=keep,
        keep_every=keep_every,
        in_use=not is_free(folder.path / ".lock"),
    )


def positive(value: object) -> int | None:
    """A number of a record that a person may have edited."""
    return value if isinstance(value, int) and value > 0 else None


def folder_bytes(folder: Path) -> int:
    """The size of a folder that may be vanishing."""
    with suppress(OSError):
        return total_bytes(folder)
    return 0


def _listed(
    step: int, path: Path, lines: Sequence[Line], keep_every: int | None, by: str
) -> Listed:
    samples, layout = None, described(path, "layout", "plan")
    with suppress(UserError):
        samples = read_state(path).get("samples")
    sequence = positive(layout.get("sequence"))
    return Listed(
        step=step,
        path=path,
        samples=samples,
        tokens=samples * sequence if isinstance(samples, int) and sequence else None,
        loss=_last(lines, "loss", step),
        validation_loss=_last(lines, "validation_loss", step),
        metric=None if by == LOSS else _last(lines, f"validation_{by}", step),
        bytes=folder_bytes(path),
        written=_written(path),
        layout=layout,
        is_milestone=keep_every is not None and step % keep_every == 0,
        damage=damage(path),
    )


def _last(lines: Sequence[Line], key: str, step: int) -> Measured | None:
    """The last value of a number that was measured until a step."""
    for line in reversed(lines):
        value, made = line.get(key), int(line["step"] or 0)
        if value is not None and made <= step:
            return Measured(float(value), made)
    return None


def _written(folder: Path) -> str:
    """When a folder got its last file; of one that is gone, now."""
    time = datetime.now(timezone.utc)
    with suppress(OSError):
        time = datetime.fromtimestamp(folder.stat().st_mtime, timezone.utc)
    return time.isoformat(timespec="seconds")
