"""Validation during training: measure, log, and decide whether to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslm.parallel.engine import Engine
from dslm.run.best import Measured, write_measured
from dslm.run.metrics import Line
from dslm.signals import Stopped
from dslm.train.divergence import Watch
from dslm.train.early_stopping import EarlyStopping
from dslm.train.held_out import held_out
from dslm.train.prepare import Job
from dslm.train.run_logger import RunLogger
from dslm.train.throughput import Throughput
from dslm.train.watchdog import Watchdog


class Validation:
    """The measurements of a run; every rank makes the same calls.

    Args:
        job: what is trained, and on what it is measured.
        engine: the model, laid out.
        device: torch's name of this rank's device.
        logger: writes metrics and reports to the user.
        watch: ends a run that is lost.
        watchdog: notices when nothing happens any more.
    """

    def __init__(
        self,
        job: Job,
        engine: Engine,
        device: str,
        logger: RunLogger,
        watch: Watch,
        watchdog: Watchdog,
    ) -> None:
        self.job, self.engine, self.device = job, engine, device
        self.logger, self.watch, self.watchdog = logger, watch, watchdog
        self.begin({})

    def begin(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint with this state; empty at the beginning of a run."""
        self.stopping = EarlyStopping(self.job.config, state)
        self.latest: tuple[int, Measured] | None = None

    def measure(self, step: int, samples: int, throughput: Throughput) -> str | None:
        """Measure and log; returns a reason to stop, if there is one.

        Without held-out data nothing is done. When some rank is asked to stop, the measurement is
        cut short and not recorded.
        """
        shards = self.job.sources.validation
        if shards is None:
            return None
        self.watch.judge()
        try:
            with throughput.paused(), self.watchdog.during("measuring"):
                found, others = held_out(self.job, shards, self.engine, self.device)
        except Stopped:
            return None
        measured = {"loss": found.loss, **others}
        line: Line = {
            "step": step,
            "tokens": samples * self.job.plan.sequence,
            **{f"validation_{name}": value for name, value in measured.items()},
            "seconds": throughput.seconds(),
        }
        self.logger.log(line, throughput)
        self.watch.validation(step, found.loss)
        self.latest = step, found
        return self.stopping.reason(found)

    def numbers(self, step: int) -> dict[str, Any]:
        """What the checkpoint of a step holds of the measurements."""
        now = self.latest[1] if self.latest and self.latest[0] == step else None
        return {**write_measured(now), **self.stopping.numbers()}
