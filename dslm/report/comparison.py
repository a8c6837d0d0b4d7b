"""Several runs in one page: their curves over each other, their results, and what differs.

Curves are drawn smoothed, in a colour for each run. Colours are told apart by people who see few
of them as well (Okabe and Ito 2008, darkened for paper); from the ninth run on strokes differ, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dslm.errors import CheckpointError, Problem, UserError
from dslm.report.chart import COLUMNS, SMOOTHING, Chart, Line, Note, draw
from dslm.report.clock import clocks, units
from dslm.report.curves import QUANTITIES, curves, second_half
from dslm.report.figures import uniform_loss
from dslm.report.markup import fill
from dslm.report.outcomes import outcomes, remarks
from dslm.report.page import link, write_page
from dslm.report.recipe import value_text
from dslm.report.record import NoStepError, Record, read_record
from dslm.report.series import series
from dslm.report.summary import Summary, labels, summarize
from dslm.run.folder import flat

COLOURS = 8
COLUMNS_OF_ALL, LEAST = 1800, 150
"""Into how many columns the curves of all runs together are thinned, and each at least."""
SAME = ("run", "fresh")
"""Settings that say nothing of a run."""
SHORT = 12
"""Characters of a fingerprint that tell shard sets apart."""


def write_comparison(runs: Sequence[Path], page: Path, watch: int = 0) -> Path:
    """Write a page about several runs.

    Args:
        runs: their folders.
        page: the file; an older one is replaced in one move.
        watch: seconds after which the page reads itself anew; 0 = never.

    Returns:
        The path of the page.

    Raises:
        UserError: a folder is that of no run, or named twice; or a run has logged no step yet.
    """
    same = [run for i, run in enumerate(runs) if run.resolve() in {r.resolve() for r in runs[:i]}]
    if same:
        rule = "is named twice"
        raise CheckpointError(*(Problem(str(run), None, rule, "name it once") for run in same))
    write_page(page, render(_read(runs), page.parent, watch))
    return page


def _read(runs: Sequence[Path]) -> list[Record]:
    """What their folders hold; where some cannot be read, all of these are reported."""
    records, errors = list[Record](), list[UserError]()
    for run in runs:
        try:
            records.append(read_record(run))
        except UserError as error:
            errors.append(error)
    if errors:
        early = all(isinstance(error, NoStepError) for error in errors)
        kind = NoStepError if early else CheckpointError
        raise kind(*(problem for error in errors for problem in error.problems))
    return records


def render(records: Sequence[Record], beside: Path, watch: int = 0) -> str:
    """The whole page as text; see `dslm.report.page.render`."""
    names = labels([record.folder for record in records])
    found = [summarize(record) for record in records]
    columns = max(LEAST, min(COLUMNS, COLUMNS_OF_ALL // len(records)))
    return fill(
        "comparison.html",
        title=f"{', '.join(names)} · dslm run report",
        runs=[
            {"name": name, "look": look(i), "summary": one, "report": _report(one, beside)}
            for i, (name, one) in enumerate(zip(names, found, strict=True))
        ],
        charts=[draw(chart, columns=columns) for chart in charts(records, names)],
        outcomes=outcomes(records, found),
        remarks=remarks(records),
        differences=differences(records),
        clocks=clocks(records),
        units=units(records),
        smoothing=SMOOTHING,
        watch=watch,
    )


def look(run: int) -> str:
    """The class names of a run's strokes, by its number."""
    return f"run-{run % COLOURS}" + (f" dash-{run // COLOURS % 3}" if run >= COLOURS else "")


def charts(records: Sequence[Record], names: Sequence[str]) -> list[Chart]:
    """What all these runs have logged, run over run; the loss first."""
    guesses = {uniform_loss(record) for record in records}
    guess = guesses.pop() if len(guesses) == 1 else None
    notes = [Note(f"guessing, ln V = {guess:.2f}", guess)] if guess else []
    unit = "training, smoothed; dots: validation"
    losses = [*_lines(records, names, "loss"), *_held_out(records, names, "validation_loss")]
    found = [Chart("Loss", unit, losses, notes, zero=False, wide=True, legend=False)]
    found += second_half(losses, (), legend=False)
    logged = {key for record in records for line in record.log.training for key in line.values}
    for key in sorted(key for key in logged if key.endswith("_accuracy")):
        lines = [*_lines(records, names, key), *_held_out(records, names, f"validation_{key}")]
        title = key.replace("_", " ").capitalize()
        found.append(Chart(title, "share of right answers", lines, legend=False))
    for key, (title, unit) in QUANTITIES.items():
        if lines := list(_lines(records, names, key)):
            found.append(Chart(title, unit, lines, legend=False))
    return found


def _lines(records: Sequence[Record], names: Sequence[str], key: str) -> Iterator[Line]:
    """The curves of a quantity: one a run at each smoothing, as logged where it changes nothing."""
    for i, (record, name) in enumerate(zip(records, names, strict=True)):
        found = curves(record, key, name)
        smooth = {letter for line in found if "raw" not in line.look for letter in line.at}
        unchanged = "".join(letter for letter in SMOOTHING if letter not in smooth)
        for line in found:
            raw = "raw" in line.look
            strokes, at = (f"{look(i)} raw", unchanged) if raw else (look(i), line.at)
            yield replace(line, name=name, look=strokes, group=name, at=at, run=i)


def _held_out(records: Sequence[Record], names: Sequence[str], key: str) -> Iterator[Line]:
    for i, (record, name) in enumerate(zip(records, names, strict=True)):
        if points := series(record.log.evaluations, key):
            shown = f"{name}, validation"
            yield Line(shown, points, f"{look(i)} dots", group=name, run=i)


def differences(records: Sequence[Record]) -> list[tuple[str, list[str]]]:
    """The settings in which runs differ, and what each has; empty where it has none."""
    every = [dict(_settings(record)) for record in records]
    keys = dict.fromkeys(key for settings in every for key in settings)
    rows = [(key, [settings.get(key, "") for settings in every]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _settings(record: Record) -> Iterator[tuple[str, str]]:
    """All that decides a run: its settings, DeepSpeed's, the layout, the data and the versions."""
    config: Mapping[str, Any] = record.fact(dict, "config") or {}
    plan = record.fact(dict, "plan") or {}
    groups = {
        "": {key: value for key, value in config.items() if key not in SAME},
        "deepspeed.": record.fact(dict, "deepspeed") or {},
        "layout.": {key: plan[key] for key in ("world", "replicas", "device") if key in plan},
        "version of ": record.fact(dict, "versions") or {},
        "commit of ": {"dslm": record.fact(str, "code", "commit")},
        "fingerprint of data.": {
            split: ", ".join(one[:SHORT] for one in record.fingerprints(split)) or None
            for split in ("train", "validation")
        },
    }
    for prefix, group in groups.items():
        for key, value in flat(group).items():
            if value is not None:
                yield f"{prefix}{key}", value_text(value)


def _report(summary: Summary, beside: Path) -> str:
    """The address of a run's own report; empty where there is none."""
    file = summary.folder / "report.html"
    return link(file.resolve(), beside) if file.exists() else ""
