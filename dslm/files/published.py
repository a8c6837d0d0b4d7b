"""Folders that a command makes: filled under a hidden name, then published by one rename."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dslm.errors import DataError, Problem, SetupError


def occupied(folder: Path) -> bool:
    """Whether there is something where a folder is to be made."""
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def refuse(folder: Path, rule: str) -> DataError:
    """The error for a folder that holds something else."""
    return DataError(Problem(str(folder), None, rule, "remove it or choose another --output"))


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """An empty folder to fill; on leaving without an error it becomes `folder`.

    Args:
        folder: where the result is to be; it must not exist or be empty.

    Raises:
        SetupError: it cannot be written.
    """
    folder = folder.absolute()
    beside = folder.parent / f".{folder.name}.{os.getpid()}.partial"
    try:
        beside.mkdir(parents=True)
        yield beside
        beside.replace(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = f"{'free some space or ' if full else ''}choose another place"
        raise SetupError(Problem(str(folder), None, f"cannot be written: {reason}", fix)) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
