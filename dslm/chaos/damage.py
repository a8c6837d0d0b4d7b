"""What may happen to a run's files while nothing runs."""

from __future__ import annotations

from pathlib import Path

from dslm.chaos.fault import MOMENTS, WEIGHTS
from dslm.run.checkpoint import checkpoints


def cut_in_half(run: Path) -> None:
    """A file of the newest checkpoint loses its second half."""
    file = _newest(run, MOMENTS)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def flip_a_moment(run: Path) -> None:
    """One bit of the optimizer's moments in the newest checkpoint changes."""
    _flip(_newest(run, MOMENTS))


def flip_a_weight(run: Path) -> None:
    """One bit of the weights in the newest checkpoint changes."""
    _flip(_newest(run, WEIGHTS))


def delete_the_record(run: Path) -> None:
    """``run.json`` disappears."""
    (run / "run.json").unlink()


def none(run: Path) -> None:
    """Nothing happens."""


def _flip(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(-1, 2)
        last = opened.read(1)[0]
        opened.seek(-1, 2)
        opened.write(bytes([last ^ 1]))


def _newest(run: Path, kind: str) -> Path:
    """A file of the newest checkpoint, with weights or with moments."""
    _, folder = checkpoints(run / "checkpoints")[0]
    files = sorted(folder.glob("layer-*.safetensors"))
    return next(file for file in files if file.name.endswith(MOMENTS) == (kind == MOMENTS))
