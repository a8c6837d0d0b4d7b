"""Line charts over the steps of a run, readable at any width, with a script or without.

Curves live in a box of 1000 by 1000 units that the page stretches to the space it has; their
strokes keep their width. Everything with letters (marks of the axes) is HTML laid over the box, so
that letters keep their size on a phone. A curve is thinned to the lowest and the highest point of
each column, and broken where another process carried on or a value is not finite. What is drawn
here is a picture that needs no script; the points it shows are also written beside each curve, from
which ``chart.js`` draws anew for another axis, section or smoothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median

from markupsafe import Markup

from dslm.progress import human
from dslm.report.axis import Axis, linear_axis, log_axis, steps_axis
from dslm.report.markup import fill
from dslm.report.series import Point, stretches, thin

COLUMNS = 1000
"""Into which the points of a curve as it was logged are thinned…"""
SMOOTH_COLUMNS = 200
"""… and those of a smoothed one."""
LOG_RATIO = 20
"""A curve whose peak is so many times its median would be flat on a linear axis."""
SMOOTHING = {"n": "none", "l": "light", "m": "medium", "s": "strong"}
"""The choices of smoothing by the letters that stand for them, `PLAIN` among them."""
PLAIN = "m"
"""The one that is drawn without a script."""


@dataclass(frozen=True)
class Line:
    """A curve and how it looks."""

    name: str
    points: Sequence[Point]
    look: str
    """Class names of its stroke: a colour, and ``raw``, ``smooth`` or ``dots``."""
    group: str = ""
    """What hides it together with others; its name unless given."""
    at: str = "".join(SMOOTHING)
    """The choices of smoothing at which it is shown."""
    run: int = 0
    """Whose tokens and seconds it has, of several runs in one page."""


@dataclass(frozen=True)
class Note:
    """Words of the legend for a value: of a dashed line across the chart, or a ringed point."""

    text: str
    value: float
    step: int | None = None
    """Of the point; `None` for a line."""


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
    legend: bool = True
    """Whether it names its lines; where many runs share a legend, each chart need not."""


def draw(
    chart: Chart, tokens: Callable[[int], float] | None = None, columns: int = COLUMNS
) -> Markup:
    """The chart as a figure with its legend.

    Args:
        chart: at least one line with at least one point.
        tokens: the tokens seen after a step, written below the marks of the steps.
        columns: into which the points are thinned.
    """
    shown = [line for line in chart.lines if PLAIN in line.at]
    points = [point for line in shown for point in line.points]
    last = max(point.step for point in points)
    across = steps_axis(chart.first, last, 8 if chart.wide else 5)
    up = _vertical(chart, [point.value for point in points if point.finite])
    bad = [point for line in shown for point in line.points if not point.finite]
    return fill(
        "chart.html",
        chart=chart,
        across=across,
        up=up,
        x=partial(_place, across),
        y=lambda value: round(1000 - 1000 * up.fraction(value)),
        tokens=tokens,
        bad=thin(bad, across.span / columns),
        curves=[_curve(line, across, up, columns) for line in chart.lines if line.points],
        marks=zip(up.ticks, _marks(up), strict=True),
        keys=_keys(chart, bad),
        description=_description(chart.title, shown),
    )


def _vertical(chart: Chart, values: list[float]) -> Axis:
    """Linear, or logarithmic where a few peaks would press everything else flat."""
    across = [note.value for note in chart.notes if note.step is None]
    values = values + across or [0.0]
    if min(values) > 0 and max(values) > LOG_RATIO * median(values):
        return log_axis(values)
    return linear_axis(values, 5, chart.zero)


def _place(axis: Axis, value: float) -> int:
    return round(1000 * axis.fraction(value))


def _curve(line: Line, across: Axis, up: Axis, columns: int) -> dict[str, str]:
    """The attributes of a path, with its points for the script.

    Stretches are separated by semicolons, points by spaces; of the steps each but the first of all
    is the distance from the one before, which is short.
    """
    noisy = "raw" in line.look or "dots" in line.look
    width = across.span / (columns if noisy else columns * SMOOTH_COLUMNS / COLUMNS)
    parts = [thin(stretch, width) for stretch in stretches(line.points)]
    steps, before = list[str](), 0
    for part in parts:
        ahead = [before, *(point.step for point in part)]
        steps.append(" ".join(str(b - a) for a, b in pairwise(ahead)))
        before = ahead[-1]
    drawn = {"d": _route(parts, across, up, "dots" in line.look)} if PLAIN in line.at else {}
    return {
        **drawn,
        "class": f"line {line.look}",
        "data-name": line.name,
        "data-group": line.group or line.name,
        "data-at": line.at,
        "data-run": str(line.run),
        "data-end": str(line.points[-1].step),
        "data-steps": ";".join(steps),
        "data-values": ";".join(" ".join(f"{point.value:.5g}" for point in p) for p in parts),
    }


def _route(parts: Sequence[Sequence[Point]], across: Axis, up: Axis, dots: bool) -> str:
    """A path through the points of each part, or a dot at each."""
    found = []
    for part in parts:
        places = [
            f"{_place(across, p.step)} {round(1000 - 1000 * up.fraction(p.value))}" for p in part
        ]
        if dots or len(part) == 1:
            found += [f"M{place}h0" for place in places]
        else:
            found.append(f"M{' '.join(places)}")
    return "".join(found) or "M0 0"


def _marks(up: Axis) -> list[str]:
    """The numbers along an axis; evenly spaced ones have equally many decimals."""
    texts = [figure(tick) for tick in up.ticks]
    if not up.log and all(text.lstrip("-").replace(".", "").isdigit() for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        return [f"{tick:.{decimals}f}" for tick in up.ticks]
    return texts


def _keys(chart: Chart, bad: Sequence[Point]) -> list[tuple[str, str, str]]:
    """The names of the legend, how each looks, and what it hides."""
    named = [line for line in chart.lines if PLAIN in line.at] if chart.legend else []
    keys = [(line.name, line.look, line.group or line.name) for line in named if line.points]
    keys = keys if len(keys) > 1 else []
    keys += [(note.text, "reference" if note.step is None else "ring", "") for note in chart.notes]
    if chart.resumes and chart.wide:
        keys.append(("resumed here", "resume", ""))
    return keys + ([("not a finite number", "bad", "")] if bad else [])


def _description(title: str, lines: Sequence[Line]) -> str:
    """The chart in one sentence for those who cannot see it."""
    courses = (
        f"{line.name} from {figure(line.points[0].value)} to {figure(line.points[-1].value)}"
        for line in lines
        if line.points
    )
    return f"{title} over the steps: {', '.join(courses)}"


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
