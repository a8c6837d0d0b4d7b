"""Axes: a range of values, round numbers to mark on it, and where a value lies along it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """One axis of a chart."""

    low: float
    high: float
    ticks: Sequence[float]
    log: bool = False

    @property
    def span(self) -> float:
        """How far the two ends lie apart."""
        return self.high - self.low

    def fraction(self, value: float) -> float:
        """Where `value` lies: 0 at the low end, 1 at the high end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / self.span


def steps_axis(first: int, last: int, count: int) -> Axis:
    """The horizontal axis from one step to a later one, marked at about `count` whole steps."""
    last = max(first + 1, last)
    stride = max(1, round(_stride(last - first, count)))
    return Axis(first, last, range(math.ceil(first / stride) * stride, last + 1, stride))


def linear_axis(values: Sequence[float], count: int, zero: bool) -> Axis:
    """An axis from one round number to another that holds all values.

    Args:
        values: at least one, all finite.
        count: how many marks to aim at.
        zero: whether the axis starts at zero, as it must where lengths are compared.
    """
    low, high = min(values), max(values)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    if high == low:
        low, high = (low - abs(low) / 10, high + abs(high) / 10) if high else (0.0, 1.0)
    stride = _stride(high - low, count)
    first, last = math.floor(low / stride + 1e-9), math.ceil(high / stride - 1e-9)
    ticks = [float(f"{i * stride:.10g}") for i in range(first, last + 1)]
    return Axis(ticks[0], ticks[-1], ticks)


def log_axis(values: Sequence[float]) -> Axis:
    """A logarithmic axis marked at powers of ten.

    Args:
        values: at least one, all finite and above zero.
    """
    first = math.floor(math.log10(min(values)))
    last = max(first + 1, math.ceil(math.log10(max(values))))
    every = math.ceil((last - first) / 6)
    ticks = [10.0**power for power in range(first, last + 1, every)]
    return Axis(10.0**first, 10.0**last, ticks, log=True)


def _stride(span: float, count: int) -> float:
    """The round number (1, 2 or 5 times a power of ten) nearest above ``span / count``."""
    power = 10.0 ** math.floor(math.log10(span / count))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= span / count * (1 - 1e-9))
