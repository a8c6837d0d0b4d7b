"""What a run measures while it goes: ``metrics.jsonl`` always, TensorBoard on request."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Protocol, TextIO

from dslm.files.whole import write_text

Line = dict[str, float | int | None]


class Board(Protocol):
    """What is used of TensorBoard's writer."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Add a number to a curve."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class Metrics:
    """The metrics file of a run, one object a line.

    Args:
        path: ``metrics.jsonl``; lines after `step`, left by a run that was cut off, are removed.
        step: the step from which the run goes on.
        board: a TensorBoard writer, closed at the end; or `None`.
    """

    def __init__(self, path: Path, step: int, board: Board | None = None) -> None:
        self.path, self.board = path, board
        self.file = self._kept(step)

    def _kept(self, step: int) -> TextIO:
        kept = [line for line in read_metrics(self.path) if int(line["step"] or 0) <= step]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        return self.path.open("a", encoding="utf-8")

    def forget_after(self, step: int) -> None:
        """Remove the lines of later steps."""
        self.file.close()
        self.file = self._kept(step)

    def write(self, line: Line) -> None:
        """Add a line; numbers that are not finite become null, because JSON has none."""
        finite = {key: _finite(value) for key, value in line.items()}
        self.file.write(json.dumps(finite) + "\n")
        self.file.flush()
        if self.board is not None:
            for key, value in finite.items():
                if key != "step" and value is not None:
                    self.board.add_scalar(key, value, int(line["step"] or 0))

    def __enter__(self) -> Metrics:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()


def read_metrics(path: Path) -> list[Line]:
    """The whole lines of a metrics file; the last one of a killed run may be cut."""
    return [line for line in map(parse_line, read_lines(path)) if line is not None]


def read_lines(path: Path) -> list[str]:
    """The lines of a metrics file as text."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return text.splitlines()


def parse_line(text: str) -> Line | None:
    """The metrics on a line; `None` where it is not a whole one."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("step"), int) else None


def validation_losses(path: Path, step: int) -> list[float]:
    """The validation losses that a run measured until a step, in their order."""
    lines = [line for line in read_metrics(path) if int(line["step"] or 0) <= step]
    return [line.get("validation_loss") or math.inf for line in lines if "validation_loss" in line]


def skipped_steps(path: Path, step: int) -> int:
    """How many steps float16's loss scale had left out until a step."""
    counts = [n.get("skipped_steps") for n in read_metrics(path) if int(n["step"] or 0) <= step]
    return int(max((count for count in counts if count), default=0))


def _finite(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None
