"""Leaves out bad steps, and ends a run that diverges: on all ranks, and nothing of it is saved.

After every step its loss and the gradient's norm are looked at. One that is not finite has been
left out (`dslm.parallel.veto`); its samples are written down, and too many in a row end the run.
Before a checkpoint is written, and older ones are removed for it, the weights, the optimizer's
moments, and the loss that the next rows have with them are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NoReturn

import torch
from torch import Tensor

from dslm.errors import TrainingError
from dslm.objectives.batch import Batch
from dslm.parallel.engine import Engine
from dslm.parallel.finite import FiniteCheck, NotFinite
from dslm.parallel.loss_scale import Step
from dslm.progress import counted
from dslm.run.bad_steps import SkippedSamples
from dslm.run.checkpoint import checkpoints
from dslm.train.prepare import Job
from dslm.train.rewind import Spike
from dslm.train.run_logger import RunLogger
from dslm.train.spikes import Spikes
from dslm.train.step_samples import described, samples_of_step


class Watch:
    """Watches one run of training; every rank makes the same calls.

    Args:
        job: what is trained.
        engine: the model.
        logger: where the step that diverged is recorded.
        finish: publishes the checkpoint that is being written, before the run ends.
    """

    def __init__(
        self, job: Job, engine: Engine, logger: RunLogger, finish: Callable[[], object]
    ) -> None:
        self.job, self.engine, self.logger, self.finish = job, engine, logger, finish
        self.spikes = Spikes(job.config.bad_steps)
        wanted = job.config.bad_steps.spike != "ignore"
        self.check = FiniteCheck(torch.device(engine.engine.device), losses=wanted)
        self.begin(0)

    def begin(self, step: int) -> None:
        """Watch from here on.

        Args:
            step: steps made before.
        """
        self.began = step
        self.samples: dict[int, range] = {}
        self.in_a_row, self.exhausted = 0, 0
        self.scaled: set[int] = set()
        self.spike: Spike | None = None
        self.check.forget()

    def limit(self, step: int) -> float | None:
        """The loss above which a step is left out; `None` where it is made whatever its loss.

        Args:
            step: its number; to be asked before it is made.
        """
        limit = self.spikes.limit(step)
        return limit if self.job.config.bad_steps.spike == "skip" else None

    def step(self, step: int, samples: int, loss: Tensor, *, wait: bool) -> bool:
        """Look at a step; `spike` is set if the run is to rewind because of it.

        Args:
            step: its number, from 1.
            samples: read so far.
            loss: this rank's.
            wait: whether it must be known at once; see `judge`.

        Returns:
            Whether float16's loss scale left it out, which is no reason to stop.

        Raises:
            TrainingError: this step, or on a GPU the one before, was one too many that is bad.
        """
        self.samples[step] = samples_of_step(samples, self.job.plan.batch)
        outcome = self.engine.loss_scale.after_step()
        norm = None if outcome is Step.SKIPPED else self.engine.norm()
        if outcome is Step.EXHAUSTED:
            norm, self.exhausted = math.inf, step
        if outcome is not Step.MADE:
            self.scaled.add(step)
        self.check.look(step, loss, norm)
        self.judge(wait=wait)
        return outcome is not Step.MADE

    def judge(self, *, wait: bool = True) -> None:
        """Write down the steps that were left out, and raise if they are too many in a row.

        Args:
            wait: whether to look at the newest step too, which on a GPU means to wait for it.

        Raises:
            TrainingError: they are.
        """
        for step, found, loss in self.check.verdicts(wait=wait):
            samples = self.samples.pop(step)
            spike = self.spikes.judge(step, loss)
            if spike and self.job.config.bad_steps.spike == "rewind":
                self.spike = Spike(step, samples, spike)
                return
            left_out = found is not None or step in self.scaled
            reason = spike if spike and left_out else str(found) if found else None
            self.scaled.discard(step)
            if reason is None:
                self.in_a_row = 0
                continue
            self.in_a_row += 1
            self._write_down(step, reason, samples)
            if self.in_a_row > self.job.config.bad_steps.skip:
                self._end(step, reason, samples)
            where = described(samples, step, self.job.folder)
            self.logger.message(f"warning: {reason}: the step is left out; it read {where}")

    def left_out(self) -> str:
        """What the end of the run says of them, on the first rank."""
        if self.logger.skipped is None or not self.logger.skipped.lines:
            return ""
        rewinds = sum(one.rewound_to is not None for one in self.logger.skipped.lines)
        steps = len(self.logger.skipped.lines) - rewinds
        counts = ((steps, "bad step"), (rewinds, "rewind"))
        words = " and ".join(counted(count, noun) for count, noun in counts if count)
        return f"; {words}, see {self.job.folder.skipped.name}"

    def validation(self, step: int, loss: float) -> None:
        """Raise if a validation loss, the same on all ranks, is not finite."""
        if not math.isfinite(loss):
            self._stop(NotFinite(step, f"the validation loss is {loss}", None))

    def before_saving(self, step: int, ahead: Iterable[Batch]) -> None:
        """Raise if what would be saved is lost.

        Args:
            step: steps made.
            ahead: micro-batches of the steps to come: if each is bad, the weights are.

        Raises:
            TrainingError: weights or moments are not finite, or the losses that follow are not.
        """
        self._stop(self.check.among(step, self.engine.kept()))
        self.engine.loss_function.collect = False
        found = None
        for batch in ahead:
            loss = self.engine.evaluate([batch])
            found = self.check.among(step, {"the loss with the new weights is": [loss]})
            if found is None:
                return
        self._stop(found)

    def _end(self, step: int, reason: str, samples: range) -> NoReturn:
        """End at a bad step that is one too many in a row."""
        if self.logger.metrics is not None:  # a line without a loss shows where the run ended
            tokens = samples.stop * self.job.plan.sequence
            self.logger.metrics.write({"step": step, "tokens": tokens, "loss": math.nan})
        read = f"it read {described(samples, step, self.job.folder)}"
        if self.in_a_row > 1:
            read += f", and the {self.in_a_row - 1} before it were left out too"
        if step == self.in_a_row:
            self._beginning(reason, read)
        if step == self.exhausted:
            self._exhausted(step, read)
        self._diverged(reason, f"; {read}")

    def _stop(self, found: NotFinite | None) -> None:
        if found is not None:
            self._diverged(str(found))

    def _diverged(self, found: str, more: str = "") -> NoReturn:
        precision = "use bf16 in place of fp16, " if self.engine.loss_scale.used else ""
        self._fail(
            f"{found}: the run has diverged{more}",
            "lower the peak learning rate (optimizer.params.lr), lengthen schedule.warmup_steps, "
            f"{precision}or clip closer (gradient_clipping)",
        )

    def _beginning(self, found: str, read: str) -> NoReturn:
        """Of first steps, none of which was made, no update can be the reason."""
        config = self.job.config
        given = {"init_from": config.init_from, "word_vectors": config.word_vectors}
        named = [f"{key} = {value}" for key, value in given.items() if value is not None]
        cause = [*named, f"model.initialization = {config.model.initialization}"][0]
        precision = (
            ", or float16 is too narrow for it: use bf16" if self.engine.loss_scale.used else ""
        )
        self._fail(
            f"{found}, which is made with the weights that the run begins with; {read}",
            f"look at what gives them, {cause}{precision}",
        )

    def _exhausted(self, step: int, read: str) -> NoReturn:
        scaler = self.engine.loss_scale
        end = "is as low as fp16.min_loss_scale allows" if scaler.dynamic else "is fixed"
        self._fail(
            f"the gradient overflows float16 at step {step}, and the loss scale {end}; {read}",
            "use bf16 in place of fp16, let the scale move (fp16.loss_scale 0, a lower "
            "fp16.min_loss_scale), or lower the peak learning rate (optimizer.params.lr)",
        )

    def _write_down(self, step: int, reason: str, samples: range) -> None:
        """Keep the numbers of the samples of a step that was left out."""
        if self.logger.skipped is not None:
            self.logger.skipped.add(SkippedSamples(step, samples.start, len(samples), reason))

    def _fail(self, what: str, fix: str) -> NoReturn:
        self.finish()
        found = checkpoints(self.job.folder.checkpoints)
        if not found:
            kept = "nothing was saved"
        else:
            newest, folder = found[0]
            kept = (
                f"nothing of this was saved, and the checkpoint of step {newest} is kept ({folder})"
            )
            fix += ", and run again to resume from it"
            if found[1:] and newest == self.began:
                fix += "; if that changes nothing, remove it to resume from the one before"
        raise TrainingError(f"{what}; {kept}; {fix}")
