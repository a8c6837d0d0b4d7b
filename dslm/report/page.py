"""The page: the answer first, then the curves, then all that is needed to do the run again."""

from __future__ import annotations

from pathlib import Path

from dslm.files.whole import write_text
from dslm.progress import human
from dslm.report.chart import draw
from dslm.report.curves import charts
from dslm.report.figures import figures, verdict
from dslm.report.findings import findings
from dslm.report.markup import fill
from dslm.report.quantization import section
from dslm.report.recipe import commands, deepspeed, tables
from dslm.report.record import Record, read_record
from dslm.report.series import interpolate, series
from dslm.run.folder import RunFolder
from dslm.run.standing import read_standing


def write_report(run: Path) -> Path:
    """Write `report.html` into a run folder, from the other files there.

    Args:
        run: holds `run.json` and `metrics.jsonl`; `evaluation.json`, `quantization.json` and
            `sample.txt` are shown where they exist.

    Returns:
        The path of the page. An older page is replaced in one move.

    Raises:
        UserError: `run` is no run folder, or its run has logged no step yet.
    """
    page = RunFolder(run).report
    # What is no Unicode in the files of the run becomes question marks.
    write_text(page, render(read_record(run)).encode("utf-8", "replace").decode("utf-8"))
    return page


def render(record: Record) -> str:
    """The whole page as text."""
    folder, tokens = record.folder.resolve(), series(record.log.training, "tokens")
    standing = read_standing(RunFolder(folder), record.facts)
    return fill(
        "run.html",
        title=f"{folder.name} · dslm run report",
        name=folder.name,
        folder=folder,
        status=standing.word,
        ended=standing.sentence,
        shape=_shape(record),
        verdict=verdict(record),
        figures=figures(record),
        findings=findings(record),
        charts=[draw(chart, interpolate(tokens) if tokens else None) for chart in charts(record)],
        quantization=section(record.quantization) if record.quantization else None,
        sample=record.sample,
        commands=commands(record),
        tables=tables(record),
        deepspeed=deepspeed(record),
    )


def _shape(record: Record) -> str:
    """The preset, its size and the machine it ran on, in one line."""
    parameters = record.fact("plan", "parameters")
    world, device = record.fact("plan", "world"), record.fact("plan", "device")
    known = (
        record.fact("config", "preset"),
        f"{human(parameters)} parameters" if parameters else None,
        f"{world} rank{'s' if world > 1 else ''}" if world else None,
        device,
    )
    return " · ".join(str(part) for part in known if part)
