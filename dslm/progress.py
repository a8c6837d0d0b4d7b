"""Progress on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

Advance = Callable[[int], None]
"""Called with the number of bytes processed since the last call."""

LINE_EVERY = 10.0
"""Seconds between two lines where standard error is no terminal (a log file of a cluster job)."""


class Progress:
    """Progress towards a known total.

    Args:
        total: how many units make the whole.
        unit: what is counted, such as ``"B"`` or ``"tokens"``.
        label: what is being done, in a word or two.
        stream: where to write; standard error unless given.
    """

    def __init__(self, total: float, unit: str, label: str, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.bar: tqdm[Any] | None = None
        self.begin(total, unit, label)

    def begin(self, total: float, unit: str, label: str) -> None:
        """Begin another part of the work, with a total of its own."""
        self._close()
        self.total, self.unit, self.label = total, unit, label
        self.done = 0.0
        self.started = self.printed = time.monotonic()
        if self.stream.isatty():
            look: dict[str, Any] = {"unit_scale": True, "dynamic_ncols": True, "leave": False}
            self.bar = tqdm(total=total, unit=unit, desc=label, file=self.stream, **look)

    def reach(self, done: float, total: float) -> None:
        """Set how much is done by now, of a total that may have changed."""
        self.total = total
        if self.bar is not None:
            self.bar.total = total
        self.advance(done - self.done)

    def advance(self, amount: float = 1) -> None:
        """Count `amount` units more as done."""
        self.done += amount
        now = time.monotonic()
        if self.bar is not None:
            self.bar.update(amount)
        elif now - self.printed > LINE_EVERY:
            self.printed = now
            rate = self.done / (now - self.started)
            left = duration((self.total - self.done) / rate) if rate else "unknown"
            share = 100 * self.done / self.total if self.total else 100
            space = "" if self.unit == "B" else " "
            text = f"{self.label}: {share:.0f} %, {human(rate)}{space}{self.unit}/s, {left} left"
            print(text, file=self.stream, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def human(number: float) -> str:
    """A count with a metric suffix: 1234567 → ``1.23M``."""
    for suffix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= 0.9995 * size:  # from there on, three digits round up to it
            return f"{number / size:.3g}{suffix}"
    return f"{number:.3g}"


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 unit``, ``1,200 passes``."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def duration(seconds: float) -> str:
    """A duration in its two largest units: 3725 → ``1h02m``."""
    total = round(max(0.0, seconds))
    if total < 60:
        return f"{total}s"
    if total < 3600:
        return f"{total // 60}m{total % 60:02d}s"
    if total < 86400:
        return f"{total // 3600}h{total % 3600 // 60:02d}m"
    return f"{total // 86400}d{total % 86400 // 3600:02d}h"


class Meter:
    """Reports the progress through a piece, so that in the end the sum is the piece's size.

    Args:
        total: bytes of text in the piece, about.
        advance: called with the bytes processed since the last call.
    """

    def __init__(self, total: int, advance: Advance | None) -> None:
        self._left, self._advance = total, advance

    def __call__(self, amount: int) -> None:
        """Count some more bytes of text."""
        amount = min(amount, self._left)
        self._left -= amount
        if self._advance:
            self._advance(amount)

    def finish(self) -> None:
        """Count what is left: the piece has been read."""
        self(self._left)
