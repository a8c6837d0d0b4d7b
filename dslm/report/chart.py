"""Line charts over the steps of a run, drawn without scripts and readable at any width.

Curves live in a box of 100 by 100 units that the page stretches to the space it has; their strokes
keep their width. Everything with letters (marks of the axes, notes) is HTML laid over the box, a
unit being a percent, so that letters keep their size on a phone. A curve is thinned to the lowest
and the highest point of each column, and broken where another process carried on or a value is not
finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from markupsafe import Markup

from dslm.progress import human
from dslm.report.axis import Axis, linear_axis, log_axis, steps_axis
from dslm.report.markup import fill
from dslm.report.series import Point, stretches, thin

COLUMNS = 1000
"""Into which the points of a curve are thinned."""
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
    """Words at a point of the chart; without a step, on a dashed line across all of it."""

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


def draw(chart: Chart, tokens: Callable[[int], float] | None = None) -> Markup:
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
    return fill(
        "chart.html",
        chart=chart,
        across=across,
        up=up,
        x=partial(_x, across),
        y=partial(_y, up),
        tokens=tokens,
        bad=thin(bad, across.span / COLUMNS),
        curves=[_curve(line, across, up) for line in chart.lines],
        marks=zip(up.ticks, _marks(up), strict=True),
        keys=_keys(chart, bad),
        description=_description(chart),
    )


def _vertical(chart: Chart, values: list[float]) -> Axis:
    """Linear, or logarithmic where a few peaks would press everything else flat."""
    across = [note.value for note in chart.notes if note.step is None]
    values = values + across or [0.0]
    if min(values) > 0 and max(values) > LOG_RATIO * median(values):
        return log_axis(values)
    return linear_axis(values, 5, chart.zero)


def _x(across: Axis, step: float) -> str:
    return f"{100 * across.fraction(step):.4g}"


def _y(up: Axis, value: float) -> str:
    return f"{100 - 100 * up.fraction(value):.4g}"


def _curve(line: Line, across: Axis, up: Axis) -> dict[str, str]:
    """The attributes of a path; the steps and the values it shows are for the pointer."""
    parts = [thin(stretch, across.span / COLUMNS) for stretch in stretches(line.points)]
    shown = [point for part in parts for point in part]
    joint = "M" if "dots" in line.look else "L"
    route = "".join(
        f"{'M' if i == 0 else joint}{_x(across, point.step)},{_y(up, point.value)}"
        + ("h0" if joint == "M" or len(part) == 1 else "")
        for part in parts
        for i, point in enumerate(part)
    )
    return {
        "d": route or "M0,0",
        "class": f"line {line.look}",
        "data-name": line.name,
        "data-steps": " ".join(str(point.step) for point in shown),
        "data-values": " ".join(figure(point.value) for point in shown),
    }


def _marks(up: Axis) -> list[str]:
    """The numbers along an axis; evenly spaced ones have equally many decimals."""
    texts = [figure(tick) for tick in up.ticks]
    if not up.log and all(text.lstrip("-").replace(".", "").isdigit() for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        return [f"{tick:.{decimals}f}" for tick in up.ticks]
    return texts


def _keys(chart: Chart, bad: Sequence[Point]) -> list[tuple[str, str]]:
    """The names of the legend and how each looks."""
    keys = [(line.name, line.look) for line in chart.lines] if chart.wide else []
    if chart.resumes and chart.wide:
        keys.append(("resumed here", "resume"))
    return keys + ([("not a finite number", "bad")] if bad else [])


def _description(chart: Chart) -> str:
    """The chart in one sentence for those who cannot see it."""
    courses = (
        f"{line.name} from {figure(line.points[0].value)} to {figure(line.points[-1].value)}"
        for line in chart.lines
        if line.points
    )
    return f"{chart.title} over the steps: {', '.join(courses)}"


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
