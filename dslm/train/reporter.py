"""What a run says while it goes: metrics to the file, a line now and then to the user.

Only the first rank has a user; on the others the same calls do nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TextIO

from dslm.progress import duration, human
from dslm.run.metrics import Line, Metrics
from dslm.train.pace import Pace

LINES = 40
"""Lines of training metrics a user sees in a whole run, about; the file has all."""
SILENCE = 10.0
"""Seconds without a line after which one is due where standard error is no terminal."""


class Teller:
    """A run's voice.

    Args:
        steps: how many the run has.
        metrics: the file, or `None` on a rank without one.
        messages: the user's standard error, or `None` on a rank without a user.
    """

    def __init__(self, steps: int, metrics: Metrics | None, messages: TextIO | None) -> None:
        self.steps, self.metrics, self.messages = steps, metrics, messages
        self.terminal = messages is not None and messages.isatty()
        self.spacing = max(1, steps // LINES)
        self.shown = -self.spacing
        self.spoke = time.monotonic()

    @classmethod
    def to_stderr(cls) -> Teller:
        """A voice before there is a file of metrics."""
        return cls(0, None, sys.stderr)

    def say(self, *lines: str) -> None:
        """Show lines to the user."""
        if self.messages is not None:
            clear = "\r\033[K" if self.terminal else ""
            print(clear + "\n".join(lines), file=self.messages)
            self.spoke = time.monotonic()

    def beat(self, step: int, pace: Pace) -> None:
        """A step begins: show that the run lives, if nothing else has lately."""
        if self.messages is None:
            return
        quiet = time.monotonic() - self.spoke
        if self.terminal and quiet > 0.5:
            print(f"\r\033[K{self._where(step, pace)}", end="", file=self.messages, flush=True)
            self.spoke = time.monotonic()
        elif not self.terminal and quiet > SILENCE:
            self.say(self._where(step, pace))

    def tell(self, line: Line, pace: Pace) -> None:
        """Write a line of metrics, and show it if enough steps have passed since the last."""
        if self.metrics is not None:
            self.metrics.write(line)
        step = int(line["step"] or 0)
        if "validation_loss" in line:
            figures = [f"validation loss {line['validation_loss']:.4f}", *_accuracies(line)]
            self.say(f"step {step:,}/{self.steps:,} · {' · '.join(figures)}")
        elif step - self.shown >= self.spacing or step == self.steps:
            self.shown = step
            self.say(f"{self._where(step, pace)} · {self._figures(line)}")

    def _where(self, step: int, pace: Pace) -> str:
        left = pace.left()
        return f"step {step:,}/{self.steps:,} · " + (
            f"{duration(left)} left" if left is not None else "pace not known yet"
        )

    def _figures(self, line: Line) -> str:
        norm, share = line.get("gradient_norm"), line.get("mfu")
        figures = [
            f"loss {line['loss']:.4f}",
            *_accuracies(line),
            f"rate {line['learning_rate']:.2e}",
            f"norm {norm:.2f}" if norm is not None else "",
            f"{human(line['tokens_per_second'] or 0)} tokens/s",
            f"MFU {100 * share:.0f} %" if share is not None else "",
        ]
        return " · ".join(figure for figure in figures if figure)


def _accuracies(line: Line) -> Iterator[str]:
    """What an objective says of its answers, such as ``pair accuracy 71.0 %``."""
    for key, value in line.items():
        if key.endswith("_accuracy") and value is not None:
            name = key.removeprefix("validation_").replace("_", " ")
            yield f"{name} {100 * value:.1f} %"
