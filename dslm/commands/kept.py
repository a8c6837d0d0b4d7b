"""Results of commands are kept in the folder of the run, for its report."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslm.environment import read_world
from dslm.errors import UserError
from dslm.report import write_report
from dslm.report.page import watch_of
from dslm.run.folder import RunFolder

if TYPE_CHECKING:
    from dslm.inference.trained import Trained

Add = Callable[[Path, Mapping[str, Any]], None]
"""Adds what was found to a history of the run, see `dslm.run.results`."""


def used(trained: Trained, options: Namespace) -> dict[str, Any]:
    """Which weights a result is of, and how they were rounded."""
    rounded = {"scheme": trained.quantization.scheme, "group_size": trained.quantization.group_size}
    text = options.calibrate and str(options.calibrate)
    return {"step": trained.step, **rounded, "calibrate": text}


def keep(run: Path, add: Add, found: Mapping[str, Any]) -> None:
    """Add a result, which has been printed, to the run; and to its report, if it has one.

    A folder that cannot be written costs a warning and nothing else. Of several ranks the first one
    writes.
    """
    if not read_world().is_main:
        return
    try:
        add(run, found)
        page = RunFolder(run).report
        if page.exists():
            write_report(run, watch=watch_of(page))
    except OSError as error:
        _warn(f"{error.filename or run}: cannot be written: {error.strerror}")
    except UserError as error:
        _warn(str(error))


def _warn(reason: str) -> None:
    print(f"warning: the result is not kept for the report: {reason}", file=sys.stderr)
