"""The page: the answer first, then the curves, then all that is needed to do the run again."""

from __future__ import annotations

import os
from pathlib import Path

from dslm.progress import human
from dslm.report.chart import draw
from dslm.report.curves import charts
from dslm.report.figures import figures, verdict
from dslm.report.findings import findings
from dslm.report.markup import Html, tag
from dslm.report.recipe import commands, configuration, deepspeed
from dslm.report.record import Record, read_record
from dslm.report.series import interpolate, series
from dslm.report.style import SCRIPT, STYLE


def write_report(run: Path) -> Path:
    """Write `report.html` into a run folder, from the other files there.

    Args:
        run: holds `run.json` and `metrics.jsonl`; `evaluation.json` and `sample.txt` are shown
            where they exist.

    Returns:
        The path of the page. An older page is replaced in one move.

    Raises:
        CheckpointError: `run` is no run folder, or its run has logged no step yet.
    """
    page = run / "report.html"
    unfinished = run / ".report.html.partial"
    unfinished.write_text(render(read_record(run)), encoding="utf-8", errors="replace")
    os.replace(unfinished, page)
    return page


def render(record: Record) -> str:
    """The whole page as text."""
    title = f"{record.folder.resolve().name} · dslm run report"
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    settings = deepspeed(record)
    body = tag(
        "body",
        _header(record),
        _curves(record),
        _section("Sample", tag("pre", record.sample)) if record.sample else "",
        _section("Do it again", commands(record)),
        _section("Configuration", configuration(record)),
        _section("DeepSpeed", settings) if settings else "",
        tag("script", Html(SCRIPT)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _section(title: str, *content: str) -> Html:
    return tag("section", tag("h2", title), *content)


def _header(record: Record) -> Html:
    """Name and state, the run in a sentence, the figures, and what was odd."""
    status = record.fact("status")
    badge = tag("span", status, class_=f"status {status}") if status else ""
    tiles = [
        tag(
            "div",
            tag("dt", told.label),
            tag("dd", told.value, class_="value"),
            tag("dd", told.hint, class_="hint"),
        )
        for told in figures(record)
    ]
    odd = [
        tag("li", tag("b", finding.title), " ", finding.text, class_=finding.level)
        for finding in findings(record)
    ] or [tag("li", "Nothing odd: no spike, no slow step, nothing infinite, never resumed.")]
    return tag(
        "header",
        tag("h1", record.folder.resolve().name, badge),
        tag("p", _shape(record), class_="soft"),
        tag("p", tag("code", str(record.folder.resolve())), class_="soft"),
        tag("p", verdict(record), class_="verdict"),
        tag("dl", *tiles, class_="figures"),
        tag("ul", *odd, class_="findings"),
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


def _curves(record: Record) -> Html:
    tokens = series(record.log.training, "tokens")
    count = interpolate(tokens) if tokens else None
    main, *others = (draw(chart, count) for chart in charts(record))
    return tag("section", main, tag("div", *others, class_="charts"))
