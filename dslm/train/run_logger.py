"""Logs a run: metrics to the file, a line now and then to the user.

Only the first rank has a user; on the others the same calls do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from dslm.progress import counted, duration, human
from dslm.run.bad_steps import SkippedSteps
from dslm.run.best import LOSS
from dslm.run.metrics import Line, Metrics
from dslm.train.output import UserStream
from dslm.train.throughput import Throughput

LINES = 40
"""Lines of training metrics a user sees in a whole run, about; the file has all."""


class RunLogger:
    """Writes a run's metrics and messages.

    Args:
        steps: how many the run has.
        metrics: the file, or `None` on a rank without one.
        messages: the user's standard error, or `None` on a rank without a user.
        skipped: the record of steps that are left out, or `None` on a rank without one.
        best_by: the metric by which the best checkpoint is chosen, if it is one.
    """

    def __init__(
        self,
        steps: int,
        metrics: Metrics | None,
        messages: UserStream | None,
        skipped: SkippedSteps | None = None,
        best_by: str | None = None,
    ) -> None:
        self.steps, self.metrics, self.messages = steps, metrics, messages
        self.skipped = skipped
        self.best_by = "" if best_by in (None, LOSS) else best_by
        self.spacing = max(1, steps // LINES)
        self.shown = -self.spacing

    def message(self, *lines: str) -> None:
        """Show lines to the user."""
        if self.messages is not None:
            self.messages.lines(*lines)

    def forget_after(self, step: int) -> None:
        """Remove what was written of later steps, which will be made again."""
        for file in (self.metrics, self.skipped):
            if file is not None:
                file.forget_after(step)

    def heartbeat(self, step: int, throughput: Throughput) -> None:
        """A step begins: show that the run is alive, unless something was shown lately."""
        if self.messages is not None:
            self.messages.alive(self._where(step, throughput))

    def log(self, line: Line, throughput: Throughput) -> None:
        """Write a line of metrics, and show it if enough steps have passed since the last."""
        if self.metrics is not None:
            self._write(self.metrics, line)
        step = int(line["step"] or 0)
        if "validation_loss" in line:
            figures = [f"validation loss {line['validation_loss']:.4f}"]
            if (floats := line.get("validation_float_loss")) is not None:
                figures.append(f"as floats {floats:.4f}")
            if (value := line.get(f"validation_{self.best_by}")) is not None:
                figures.append(f"{self.best_by.replace('_', ' ')} {value:.4f}")
            figures += _accuracies(line, f"validation_{self.best_by}")
            self.message(f"step {step:,}/{self.steps:,} · {' · '.join(figures)}")
        elif step - self.shown >= self.spacing or step == self.steps:
            self.shown = step
            self.message(f"{self._where(step, throughput)} · {self._figures(line)}")

    def _write(self, metrics: Metrics, line: Line) -> None:
        """Write a line of metrics, and say when that has become impossible."""
        before = metrics.failure
        metrics.write(line)
        if metrics.failure and not before:
            self.message(
                f"warning: {metrics.path} cannot be written: {metrics.failure.strerror}; its lines "
                "are kept until it can be"
            )

    def _where(self, step: int, throughput: Throughput) -> str:
        left = throughput.left()
        return f"step {step:,}/{self.steps:,} · " + (
            f"{duration(left)} left" if left is not None else "time left not known yet"
        )

    def _figures(self, line: Line) -> str:
        norm, share = line.get("gradient_norm"), line.get("mfu")
        skipped = int(line.get("skipped_steps") or 0)
        figures = [
            f"loss {line['loss']:.4f}",
            *_accuracies(line),
            f"learning rate {line['learning_rate']:.2e}",
            f"norm {norm:.2f}" if norm is not None else "",
            f"{human(speed)} tokens/s" if (speed := line["tokens_per_second"]) else "",
            f"MFU {100 * share:.0f} %" if share is not None else "",
            f"{counted(skipped, 'step')} skipped" if skipped else "",
        ]
        return " · ".join(figure for figure in figures if figure)


def _accuracies(line: Line, *shown: str) -> Iterator[str]:
    """The accuracies of an objective that are not shown yet, such as ``pair accuracy 71.0 %``."""
    for key, value in line.items():
        if key.endswith("_accuracy") and key not in shown and value is not None:
            name = key.removeprefix("validation_").replace("_", " ")
            yield f"{name} {100 * value:.1f} %"
