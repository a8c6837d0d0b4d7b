"""All runs of a folder in one table, for the terminal and as a page that links their reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from dslm.progress import duration, human
from dslm.report.markup import fill
from dslm.report.page import link, write_page
from dslm.report.recipe import date
from dslm.report.summary import Summary

HEAD = (
    *("run", "status", "preset", "parameters", "step", "loss", "validation", "tokens/s"),
    *("started", "took"),
)
"""The columns."""
NUMBERS = ("parameters", "step", "loss", "validation", "tokens/s", "took")
"""Of these the ones with numbers."""


def row(summary: Summary, root: Path) -> list[str]:
    """What stands in the columns about a run.

    Args:
        summary: of the run.
        root: the folder that all of them are below, from which they are named.
    """
    made = f"{summary.step:,}" + (f"/{summary.steps:,}" if summary.steps else "")
    return [
        _name(summary, root),
        summary.standing.word,
        summary.preset,
        human(summary.parameters) if summary.parameters else "",
        made if summary.step or summary.steps else "",
        "" if summary.loss is None else f"{summary.loss:.4f}",
        f"{summary.validation.value:.4f}" if summary.validation else "",
        "" if summary.tokens_per_second is None else human(summary.tokens_per_second),
        date(summary.started).removesuffix(" UTC"),
        duration(summary.seconds) if summary.seconds else "",
    ]


def write_index(found: Sequence[Summary], root: Path, page: Path) -> None:
    """Write the table as a page.

    Args:
        found: the runs, at least one.
        root: the folder that they are below.
        page: the file; an older one is replaced in one move.
    """
    runs = [
        {
            "cells": list(zip(HEAD, row(one, root), keys(one), strict=True))[2:],
            "name": _name(one, root),
            "standing": one.standing,
            "report": link(file.resolve(), page.parent) if file.exists() else "",
        }
        for one in found
        for file in [one.folder / "report.html"]
    ]
    name = root.resolve().name
    text = fill("index.html", title=f"{name} · dslm runs", name=name, head=HEAD, runs=runs)
    write_page(page, text)


def _name(summary: Summary, root: Path) -> str:
    name = summary.folder.relative_to(root).as_posix()
    return root.resolve().name if name == "." else name


def keys(summary: Summary) -> list[float | str]:
    """By what the rows are ordered, column by column; empty where it is not known."""
    made = summary.step if summary.step or summary.steps else None
    lowest = summary.validation.value if summary.validation else None
    speed, took = summary.tokens_per_second, summary.seconds or None
    known = (summary.parameters, made, summary.loss, lowest, speed)
    numbers = [_number(value) for value in known]
    return ["", "", summary.preset, *numbers, summary.started, _number(took)]


def _number(value: float | None) -> float | str:
    return "" if value is None or not math.isfinite(value) else value
