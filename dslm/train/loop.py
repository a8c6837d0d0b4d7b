"""The training loop: train, log, measure, save, until the steps are made or a goal is reached.

Everything random or scheduled is a function of the step or of the number of samples read, so the
loop's own state is those two integers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.profiler import record_function

from dslm.model.counts import flops_per_token
from dslm.objectives.batch import Batch
from dslm.parallel.compilation import notice
from dslm.parallel.engine import Engine
from dslm.parallel.hardware import memory_gib, peak_flops
from dslm.parallel.layer_norms import LayerNorms
from dslm.run.metrics import Line, skipped_steps
from dslm.run.status import Ending
from dslm.train.ahead import BatchesAhead
from dslm.train.batches import moved, training_batch
from dslm.train.checkpointer import Checkpointer
from dslm.train.data_watch import DataWatch
from dslm.train.divergence import Watch
from dslm.train.predicted import Prediction
from dslm.train.prepare import Job
from dslm.train.rewind import Rewinds, Spike
from dslm.train.run_logger import RunLogger
from dslm.train.scheduled import set_for_step
from dslm.train.stuck import warning
from dslm.train.throughput import Throughput
from dslm.train.validation import Validation
from dslm.train.watchdog import Watchdog


@dataclass
class Position:
    """How far a run has come."""

    step: int = 0
    samples: int = 0
    skipped: int = 0
    """Steps of these that float16's loss scale left out."""


class Loop:
    """One run of training, on one of its ranks.

    Args:
        job: what to do.
        engine: the model, laid out.
        checkpointer: its checkpoints.
        device: torch's name of this rank's device.
        logger: writes metrics and reports to the user.
        watchdog: notices when nothing happens any more.
        prediction: what was predicted of the run.
    """

    def __init__(
        self,
        job: Job,
        engine: Engine,
        checkpointer: Checkpointer,
        device: str,
        logger: RunLogger,
        watchdog: Watchdog,
        prediction: Prediction,
    ) -> None:
        self.job, self.config, self.plan = job, job.config, job.plan
        self.engine, self.objective, self.checkpointer = engine, job.objective, checkpointer
        self.device, self.logger, self.watchdog = device, logger, watchdog
        self.prediction = prediction
        engine.engine.module.register_forward_hook(lambda *_: watchdog.beat())
        self.peak = peak_flops(device, engine.half)
        self.stream = job.stream
        self.ahead = BatchesAhead(self.made_batch, device)
        self.watch = Watch(job, engine, logger, checkpointer.finish)
        self.data_watch = DataWatch(job.sources.all, logger)
        self.rewinds = Rewinds(job, checkpointer, logger)
        wanted = self.config.layer_norms_interval is not None
        self.norms = LayerNorms(engine, checkpointer.layers) if wanted else None
        self.compiled = 0.0
        if self.config.compile:
            notice(self.compiling)
        self.validation = Validation(job, engine, device, logger, self.watch, watchdog)
        self.begin(Position(), {})

    def begin(self, position: Position, numbers: Mapping[str, Any]) -> None:
        """Set where `run` begins, and the numbers in the checkpoint that was written there."""
        self.position = position
        self.ahead.forget()
        self.watch.begin(position.step)
        self.throughput = Throughput(self.config.steps - position.step, self.plan.tokens_per_step)
        self.validation.begin(numbers)
        self.engine.loss_function.pop_metrics()  # of the steps that only materialized moments

    def resume(self, numbers: Mapping[str, Any]) -> None:
        """Set that `run` begins where a checkpoint was written, given the numbers in it."""
        metrics, step = self.job.folder.metrics, numbers["step"]
        position = Position(step, numbers["samples"], skipped_steps(metrics, step))
        self.begin(position, numbers)

    def run(self) -> Ending:
        """Train until the steps are made, a goal is reached, or some rank is asked to stop."""
        with self.ahead.running():
            return self._run()

    def _run(self) -> Ending:
        reason, asked = None, self.engine.stop.ask()
        while self.position.step < self.config.steps and reason is None and asked is None:
            loss = self.train_step()
            self.position.skipped += self.watch.step(
                self.position.step, self.position.samples, loss, wait=self.anything_due()
            )
            self.report_compiled()
            self.prediction.step(self.logger)
            if self.watch.spike is not None:
                self.rewind(self.watch.spike)
                continue
            if self.due(self.config.log_interval):
                self.log(loss)
            self.checkpointer.publish_if_written()
            asked = self.engine.stop.reason()
            if asked is None and self.due(self.config.evaluation_interval):
                reason = self.validation.measure(
                    self.position.step, self.position.samples, self.throughput
                )
                asked = self.engine.stop.reason()
            if reason or asked or self.due(self.config.checkpoint_interval):
                self.save()
                asked = self.engine.stop.ask()  # again: a save may take long
        with self.throughput.paused(), self.watchdog.during("saving"):
            self.checkpointer.finish(is_last=True)
        self.report_compiled()
        return self.ending(reason, asked)

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """What is done inside says nothing of the run's speed and memory, and is no stall."""
        began = time.monotonic()
        with self.throughput.compiled(), self.prediction.compiled(), self.watchdog.compiled():
            yield
        self.compiled += time.monotonic() - began

    def report_compiled(self) -> None:
        """Say how long something was compiled since the last time, if it was."""
        if self.compiled:
            self.logger.message(f"compiling blocks: {self.compiled:.1f} s")
        self.compiled = 0.0

    def ending(self, reason: str | None, asked: str | None) -> Ending:
        """How the run ended: by a reason of its own, or because it was asked to."""
        step, steps, skipped = self.position.step, self.config.steps, self.position.skipped
        if asked and step < steps and reason is None:
            return Ending("preempted", f"stopped {asked} after step {step:,} of {steps:,}")
        how = reason or f"all {steps:,} steps made"
        if skipped:
            how += f"; {skipped:,} were left out by float16's loss scale"
        return Ending("done", how + self.watch.left_out())

    def due(self, interval: int) -> bool:
        """Whether something done at every `interval` steps and at the end is to be done now."""
        return self.position.step % interval == 0 or self.position.step == self.config.steps

    def anything_due(self) -> bool:
        """Whether something is written after this step."""
        config = self.config
        intervals = config.log_interval, config.evaluation_interval, config.checkpoint_interval
        return any(map(self.due, intervals))

    def rewind(self, spike: Spike) -> None:
        """Go back to before a spike, and go on behind it."""
        with self.watchdog.during("restoring"):
            numbers = self.rewinds.rewind(spike, self.train_step)
        if numbers is None:
            self.watch.spike = None
        else:
            self.resume(numbers)

    def train_step(self) -> Tensor:
        """One optimizer step; returns this rank's mean loss, still on the device."""
        position, plan = self.position, self.plan
        self.logger.heartbeat(position.step, self.throughput)
        set_for_step(self.engine, self.config, position.step)
        self.data_watch.look()
        self.engine.loss_function.limit = self.watch.limit(position.step + 1)
        position.samples = self.rewinds.next(position.samples)
        batch = self.coming_batch()
        self.watchdog.step(position.step + 1, position.samples, plan.batch)
        position.step += 1
        position.samples += plan.batch
        self.engine.collect(self.due(self.config.log_interval))
        if self.norms is not None:
            self.norms.wanted = self.due(self.config.layer_norms_interval or 1)
        loss = self.engine.train_batch(batch)
        self.throughput.step()
        return loss

    def coming_batch(self) -> Iterator[Batch]:
        """This replica's micro-batches of the next step; beside a GPU that behind it is begun.

        On a CPU the same cores would make it, and Python's lock hold up the step meanwhile.
        """
        if not self.engine.reads:
            return iter(())
        first = self.position.samples
        with record_function("data"):
            batches = self.ahead.batches(first)
        if self.device != "cpu" and self.position.step + 1 < self.config.steps:
            self.ahead.begin(self.rewinds.next(first + self.plan.batch))
        return map(self.on_device, batches)

    def on_device(self, batch: Batch) -> Batch:
        """A micro-batch on its way to the device."""
        return moved(batch, lambda tensor: tensor.to(self.device, non_blocking=True))

    def made_batch(self, first: int) -> Iterator[Batch]:
        """This replica's micro-batches of the step that begins at a sample, on the CPU."""
        dropout, replica = self.config.model.dropout > 0, self.engine.replica
        return training_batch(
            self.stream, self.plan, self.objective, first, replica, self.device, dropout
        )

    def log(self, loss: Tensor) -> None:
        """Record what the last step did."""
        self.watch.judge()
        value = self.engine.mean(loss)
        tokens_per_second = self.throughput.tokens_per_second()
        line: Line = {
            "step": self.position.step,
            "tokens": self.position.samples * self.plan.sequence,
            "loss": value,
            "learning_rate": self.engine.learning_rate(),
            "gradient_norm": self.engine.gradient_norm(),
            "skipped_steps": self.position.skipped,
            "tokens_per_second": tokens_per_second,
            "seconds": self.throughput.seconds(),
            "memory_gib": memory_gib(self.device),
            **self.engine.measures(),
            **self.engine.rounding_error(),
            **self.engine.routed(),
        }
        if failed := len(self.checkpointer.record.failed_saves):
            line["failed_saves"] = failed
        if self.norms is not None and self.norms.wanted:
            line |= self.norms.pop()
        if (share := self.flops_utilization(tokens_per_second)) is not None:
            line["mfu"] = share
        self.logger.log(line, self.throughput)
        if math.isfinite(value) and (said := warning(self.config, self.position.step, value)):
            self.logger.message(said)

    def flops_utilization(self, tokens_per_second: float | None) -> float | None:
        """The share of the peak of all ranks that the run uses; `None` if either is not known."""
        if self.peak is None or tokens_per_second is None:
            return None
        per_token = flops_per_token(self.config.model, self.objective.scored_fraction)
        used = per_token * tokens_per_second / self.plan.world
        if used > self.peak:  # of a CPU that something else kept busy when it was measured
            self.peak = max(self.peak, peak_flops(self.device, self.engine.half) or 0.0)
        return used / self.peak if used <= self.peak else None

    def save(self) -> None:
        """Begin to write a checkpoint, but never one of a model that is already lost."""
        position = self.position
        self.watch.judge()
        with self.throughput.paused(), self.watchdog.during("saving"):
            self.checkpointer.finish()  # of data that had been looked at
            self.data_watch.look(now=True)
            steps = range(self.config.bad_steps.skip + 1)
            starts = (self.rewinds.next(position.samples + n * self.plan.batch) for n in steps)
            ahead = (self.on_device(self.ahead.batches(first)[0]) for first in starts)
            self.watch.before_saving(position.step, ahead)
            measured = self.validation.numbers(position.step)
            self.checkpointer.save(position.step, position.samples, measured)
