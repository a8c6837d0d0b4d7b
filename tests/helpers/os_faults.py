"""Faults of the operating system at chosen calls: a full disk, a read-only one, or a kill."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATHS = ("mkdir", "rename", "replace", "unlink")


class Calls:
    """The calls of the system below a folder: counted, and one of them perhaps changed.

    Args:
        folder: calls elsewhere are not looked at.
        act: called with the number of each call, from 0, before it is made.
    """

    def __init__(self, folder: Path, act: Callable[[int], None] = lambda number: None) -> None:
        self.folder, self.act = folder, act
        self.made: list[str] = []

    def before(self, name: str, path: object) -> None:
        """A call is about to be made."""
        if str(path).startswith(str(self.folder)):
            self.made.append(f"{name} {Path(str(path)).name}")
            self.act(len(self.made) - 1)


class File:
    """An open file whose calls are looked at; of a write that fails the first half is written."""

    def __init__(self, file: Any, path: Path, calls: Calls) -> None:
        self._file, self._path, self._calls = file, path, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: Any) -> Any:
        """Write, perhaps half of it."""
        try:
            self._calls.before("write", self._path)
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)

    def close(self) -> None:
        """Close, whatever is then said of it."""
        if not self._file.closed:
            self._file.close()
            self._calls.before("close", self._path)


@contextmanager
def watched(calls: Calls) -> Iterator[Calls]:
    """Look at all calls with which files are written."""
    with pytest.MonkeyPatch.context() as patch:
        for name in PATHS:
            patch.setattr(Path, name, _on_path(name, getattr(Path, name), calls))
        patch.setattr(Path, "open", _opening(Path.open, calls))
        patch.setattr(os, "open", _on_path("open", os.open, calls))
        patch.setattr(os, "fsync", _on_number("fsync", os.fsync, calls))
        patch.setattr(shutil, "disk_usage", _on_path("statvfs", shutil.disk_usage, calls))
        yield calls


def _on_path(name: str, right: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    def call(path: Path, *given: Any, **named: Any) -> Any:
        calls.before(name, path)
        return right(path, *given, **named)

    return call


def _on_number(name: str, right: Callable[[int], None], calls: Calls) -> Callable[[int], None]:
    def call(number: int) -> None:
        calls.before(name, os.readlink(f"/proc/self/fd/{number}"))
        right(number)

    return call


def _opening(right: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    def call(path: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
        if mode.startswith("r"):
            return right(path, mode, *given, **named)
        calls.before("open", path)
        return File(right(path, mode, *given, **named), path, calls)

    return call
