"""What a run measures while it goes: ``metrics.jsonl`` always, TensorBoard and W&B on request."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from dslm.files.typed import typed
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
        boards: writers for TensorBoard or W&B, closed at the end.
        is_gone: called when the file has been removed, before it is put back.
    """

    def __init__(
        self,
        path: Path,
        step: int,
        boards: Sequence[Board] = (),
        is_gone: Callable[[], object] = lambda: None,
    ) -> None:
        self.path, self.boards, self.is_gone = path, boards, is_gone
        self.waiting, self.failure = b"", None
        self.file = self._kept(step)

    waiting: bytes
    """Lines that could not be written yet."""
    failure: OSError | None
    """Why they could not be."""

    def _kept(self, step: int) -> FileIO:
        kept = [line for line in read_metrics(self.path) if int(line["step"] or 0) <= step]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        return self.path.open("ab+", buffering=0)

    def forget_after(self, step: int) -> None:
        """Remove the lines of later steps."""
        with suppress(OSError):
            self._write_waiting()
        self.file.close()
        self.file = self._kept(step)

    def write(self, line: Line) -> None:
        """Add a line; numbers that are not finite become null, because JSON has none.

        A line that cannot be written, on a full disk, is written with the next one.
        """
        finite = {key: _finite(value) for key, value in line.items()}
        self.waiting += (json.dumps(finite) + "\n").encode()
        try:
            self._write_waiting()
            self.failure = None
        except OSError as error:
            self.failure = error
        for board in self.boards:
            for key, value in finite.items():
                if key != "step" and value is not None:
                    board.add_scalar(key, value, int(line["step"] or 0))

    def _write_waiting(self) -> None:
        if not self._is_there():
            self._put_back()
        while self.waiting:
            self.waiting = self.waiting[self.file.write(self.waiting) :]

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def _put_back(self) -> None:
        """Write what the removed file held, which can be read for as long as it is open."""
        self.is_gone()
        self.file.seek(0)
        text = self.file.readall().decode("utf-8", "replace")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, text)
        self.file.close()
        self.file = self.path.open("ab+", buffering=0)

    def __enter__(self) -> Metrics:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._write_waiting()
        self.file.close()
        for board in self.boards:
            board.close()


def read_metrics(path: Path) -> list[Line]:
    """The whole lines of a metrics file; the last one of a killed run may be cut."""
    return [line for line in map(parse_line, read_lines(path)) if line is not None]


def read_lines(path: Path) -> list[str]:
    """The lines of a metrics file as text."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return text.splitlines()


def parse_line(text: str) -> Line | None:
    """The metrics on a line; `None` where it is not a whole one, or holds what is no number."""
    line = parse_object(text)
    if line is None or typed(line.get("step"), int) is None:
        return None
    known = (value for value in line.values() if value is not None)
    return line if all(typed(value, float) is not None for value in known) else None


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object on a line; `None` where there is none."""
    try:
        return typed(json.loads(text), dict)
    except ValueError:
        return None


def skipped_steps(path: Path, step: int) -> int:
    """How many steps float16's loss scale had left out until a step."""
    counts = [n.get("skipped_steps") for n in read_metrics(path) if int(n["step"] or 0) <= step]
    return int(max((count for count in counts if count), default=0))


def _finite(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None
