"""Line charts over the steps of a run, drawn without scripts and readable at any width.

Curves live in a box of 1000 by 1000 units that the page stretches to the space it has; their
strokes keep their width. Everything with letters (marks of the axes, notes) is HTML laid over the
box at a percentage of it, so that letters keep their size on a phone. A curve is thinned to the
lowest and the highest point of each unit, and broken where another process carried on or a value
is not finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from dslm.progress import human
from dslm.report.axis import Axis, linear_axis, log_axis, steps_axis
from dslm.report.markup import Html, join, tag
from dslm.report.series import Point, stretches, thin

BOX = 1000
"""Units along each side of the box that holds the curves."""
LOG_RATIO = 20
"""A curve whose peak is so many times its median would be flat on a linear axis."""


@dataclass(frozen=True)
class Line:
    """A curve and how it looks."""

    name: str
    points: Sequence[Point]
    look: str
    """Class names of its stroke: a colour, and ``raw``, ``smooth`` or ``dots``."""


@dataclass(frozen=True)
class Note:
    """Words at a place in the chart; without a step, on a dashed line across all of it."""

    text: str
    value: float
    step: int | None = None


@dataclass(frozen=True)
class Chart:
    """What a chart shows, before anything is placed."""

    title: str
    unit: str
    lines: Sequence[Line]
    notes: Sequence[Note] = ()
    resumes: Sequence[int] = ()
    zero: bool = True
    """Whether the vertical axis starts at zero."""
    first: int = 0
    """The step the horizontal axis starts at."""
    wide: bool = False
    """Whether it is the main chart, across the whole page."""


def draw(chart: Chart, tokens: Callable[[int], float] | None = None) -> Html:
    """The chart as a figure with its legend.

    Args:
        chart: at least one line with at least one point.
        tokens: the tokens seen after a step, written below the marks of the steps.
    """
    points = [point for line in chart.lines for point in line.points]
    last = max(point.step for point in points)
    across = steps_axis(chart.first, last, 8 if chart.wide else 5)
    up = _vertical(chart, [point.value for point in points if point.finite])
    bad = [point for point in points if not point.finite]
    svg = tag(
        "svg",
        *(_rule("grid", up, tick) for tick in up.ticks),
        *(_post("resume", across, step) for step in chart.resumes),
        *(_post("bad", across, point.step) for point in thin(bad, across.span / BOX)),
        *(_rule("reference", up, note.value) for note in chart.notes if note.step is None),
        *(_curve(line, across, up) for line in chart.lines),
        viewBox=f"0 0 {BOX} {BOX}",
        preserveAspectRatio="none",
        role="img",
        aria_label=_spoken(chart),
    )
    words = [*_vertical_words(up), *_horizontal_words(across, tokens), *_notes(chart, across, up)]
    plot = tag("div", svg, *words, class_="plot", data_first=across.low, data_last=across.high)
    return tag("figure", _legend(chart, up, bad), plot, class_="wide" if chart.wide else None)


def _vertical(chart: Chart, values: list[float]) -> Axis:
    """Linear, or logarithmic where a few peaks would press everything else flat."""
    across = [note.value for note in chart.notes if note.step is None]
    values = values + across or [0.0]
    if min(values) > 0 and max(values) > LOG_RATIO * median(values):
        return log_axis(values)
    return linear_axis(values, 5, chart.zero)


def _x(axis: Axis, step: float) -> float:
    return round(BOX * axis.place(step), 1)


def _y(axis: Axis, value: float) -> float:
    return round(BOX * (1 - axis.place(value)), 1)


def _curve(line: Line, across: Axis, up: Axis) -> Html:
    """One path, with the steps and the values it shows for the script that tells them."""
    parts = [thin(stretch, across.span / BOX) for stretch in stretches(line.points)]
    shown = [point for part in parts for point in part]
    joint = "M" if "dots" in line.look else "L"
    route = "".join(
        f"{'M' if i == 0 else joint}{_x(across, point.step):g},{_y(up, point.value):g}"
        + ("h0" if joint == "M" or len(part) == 1 else "")
        for part in parts
        for i, point in enumerate(part)
    )
    return tag(
        "path",
        d=route or "M0,0",
        class_=f"line {line.look}",
        data_name=line.name,
        data_steps=" ".join(str(point.step) for point in shown),
        data_values=" ".join(figure(point.value) for point in shown),
    )


def _rule(look: str, up: Axis, value: float) -> Html:
    return tag("path", d=f"M0,{_y(up, value):g}H{BOX}", class_=look)


def _post(look: str, across: Axis, step: int) -> Html:
    return tag("path", d=f"M{_x(across, step):g},0V{BOX}", class_=look)


def _vertical_words(up: Axis) -> list[Html]:
    return [
        tag("span", text, class_="y", style=f"top:{_y(up, tick) / 10:g}%")
        for tick, text in zip(up.ticks, _marks(up), strict=True)
    ]


def _marks(up: Axis) -> list[str]:
    """The numbers along an axis; evenly spaced ones have equally many decimals."""
    texts = [figure(tick) for tick in up.ticks]
    if not up.log and all(text.lstrip("-").replace(".", "").isdigit() for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        return [f"{tick:.{decimals}f}" for tick in up.ticks]
    return texts


def _horizontal_words(across: Axis, tokens: Callable[[int], float] | None) -> list[Html]:
    words = []
    for tick in across.ticks:
        below = tag("small", human(tokens(int(tick)))) if tokens else ""
        style = f"left:{_x(across, tick) / 10:g}%"
        words.append(tag("span", f"{tick:,}", below, class_="x", style=style))
    unit = "steps, tokens below" if tokens else "steps"
    return [*words, tag("span", unit, class_="x-title")]


def _notes(chart: Chart, across: Axis, up: Axis) -> list[Html]:
    words = []
    for note in chart.notes:
        top = f"top:{_y(up, note.value) / 10:g}%"
        if note.step is None:
            words.append(tag("span", note.text, class_="note above", style=f"right:0;{top}"))
            continue
        share = across.place(note.step)
        side = f"right:{100 - 100 * share:g}%" if share > 0.5 else f"left:{100 * share:g}%"
        words.append(tag("span", note.text, class_="note below", style=f"{side};{top}"))
    return words


def _legend(chart: Chart, up: Axis, bad: Sequence[Point]) -> Html:
    scale = ", logarithmic axis" if up.log else ""
    keys = [(line.name, line.look) for line in chart.lines] if chart.wide else []
    if chart.resumes and chart.wide:
        keys.append(("resumed here", "resume"))
    if bad:
        keys.append(("not a finite number", "bad"))
    marks = (tag("span", tag("i", class_=look), name, class_="key") for name, look in keys)
    return tag("figcaption", tag("b", chart.title), f" {chart.unit}{scale} ", join(*marks))


def _spoken(chart: Chart) -> str:
    """The chart in one sentence for those who cannot see it."""
    told = (
        f"{line.name} from {figure(line.points[0].value)} to {figure(line.points[-1].value)}"
        for line in chart.lines
        if line.points
    )
    return f"{chart.title} over the steps: {', '.join(told)}"


def figure(value: float) -> str:
    """A number in at most five digits: 12500 → ``12.5k``, 0.00006 → ``6e-5``."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return human(value)
    if 0 < abs(value) < 0.001:
        mantissa, _, power = f"{value:.3e}".partition("e")
        return f"{float(mantissa):g}e{int(power)}"
    return f"{value:.5g}"
