"""The page: the answer first, then the curves, then all that is needed to do the run again."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from dslm.errors import Problem, SetupError
from dslm.files.whole import write_text
from dslm.progress import human
from dslm.report import answers, results
from dslm.report.chart import SMOOTHING, draw
from dslm.report.clock import clocks, units
from dslm.report.curves import charts
from dslm.report.figures import figures, verdict
from dslm.report.findings import findings
from dslm.report.layers import heat_maps
from dslm.report.markup import fill
from dslm.report.quantization import section
from dslm.report.recipe import changed, commands, deepspeed, device, machine, tables
from dslm.report.record import Record, read_record
from dslm.report.series import interpolate, series
from dslm.run.folder import RunFolder
from dslm.run.standing import read_standing


def write_report(run: Path, page: Path | None = None, watch: int = 0) -> Path:
    """Write the page about a run, from the files in its folder.

    Args:
        run: holds `run.json` and `metrics.jsonl`; what was evaluated and generated, and
            `quantization.json`, are shown where they exist.
        page: the file; `report.html` in the folder of the run unless given.
        watch: seconds after which the page reads itself anew; 0 = never.

    Returns:
        The path of the page. An older page is replaced in one move.

    Raises:
        UserError: `run` is no run folder, its run has logged no step yet, or the page cannot be
            written.
    """
    page = RunFolder(run).report if page is None else page
    write_page(page, render(read_record(run), page.parent, watch))
    return page


def write_page(page: Path, text: str) -> None:
    """Write a page; what is no Unicode in the files of a run becomes question marks.

    Raises:
        SetupError: it cannot be written.
    """
    try:
        write_text(page, text.encode("utf-8", "replace").decode("utf-8"))
    except OSError as error:
        rule = f"cannot be written: {error.strerror}"
        fix = "choose a file in a folder that exists and can be written"
        raise SetupError(Problem(str(page), None, rule, fix)) from error


def watch_of(page: Path) -> int:
    """Seconds after which a page that was written reads itself anew; 0 = never."""
    text = page.read_text(encoding="utf-8", errors="replace")
    found = re.search(r'<body[^>]* data-watch="(\d+)"', text)
    return int(found[1]) if found else 0


def render(record: Record, beside: Path, watch: int = 0) -> str:
    """The whole page as text.

    Args:
        record: what the run folder holds.
        beside: the folder of the page, from which files of the run are linked.
        watch: seconds after which the page reads itself anew; 0 = never.
    """
    folder, tokens = record.folder.resolve(), series(record.log.training, "tokens")
    files = (RunFolder(folder).metrics, RunFolder(folder).record)
    return fill(
        "run.html",
        title=f"{folder.name} · dslm run report",
        name=folder.name,
        folder=folder,
        standing=read_standing(RunFolder(folder), record.facts),
        shape=_shape(record),
        verdict=verdict(record),
        figures=figures(record),
        findings=findings(record),
        charts=[draw(chart, interpolate(tokens) if tokens else None) for chart in charts(record)],
        layers=heat_maps(record),
        clocks=clocks([record]),
        units=units([record]),
        smoothing=SMOOTHING,
        files=[(file.name, link(file, beside)) for file in files],
        quantization=section(record.quantization) if record.quantization else None,
        evaluations=results.evaluations(record),
        answers=answers.section(record),
        samples=results.samples(record),
        commands=commands(record),
        machine=machine(record),
        changed=changed(record),
        tables=tables(record),
        deepspeed=deepspeed(record),
        watch=watch,
    )


def link(file: Path, beside: Path) -> str:
    """A file as a page in a folder links it, so that both can be moved together."""
    return quote(os.fsencode(Path(os.path.relpath(file, beside.resolve())).as_posix()))


def _shape(record: Record) -> str:
    """The preset, its size and the machine it ran on, in one line."""
    parameters = record.fact(int, "plan", "parameters")
    world = record.fact(int, "plan", "world")
    known = (
        record.fact(str, "config", "preset"),
        f"{human(parameters)} parameters" if parameters else None,
        f"{world} rank{'s' if world > 1 else ''}" if world else None,
        device(record),
    )
    return " · ".join(str(part) for part in known if part)
