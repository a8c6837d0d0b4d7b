"""Ends a run that diverges: at the first bad step, on all ranks, and nothing after it is saved.

After every step its loss and the gradient's norm are looked at; before a checkpoint is written, and
older ones are removed for it, the weights after the update, the optimizer's moments, and the loss
that the next rows have with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

from dslm.errors import TrainingError
from dslm.objectives.batch import Batch
from dslm.parallel.engine import Engine
from dslm.parallel.finite import FiniteCheck, NotFinite
from dslm.parallel.loss_scale import Step
from dslm.run.checkpoint import checkpoints
from dslm.train.prepare import Job
from dslm.train.run_logger import RunLogger


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
        self.check = FiniteCheck(torch.device(engine.engine.device))
        self.begin(0)

    def begin(self, step: int) -> None:
        """Watch from here on.

        Args:
            step: steps made before.
        """
        self.began = step
        self.last = step, 0
        self.check.forget()

    def step(self, step: int, samples: int, loss: Tensor) -> bool:
        """Look at a step.

        Args:
            step: its number, from 1.
            samples: read so far.
            loss: this rank's.

        Returns:
            Whether float16's loss scale left it out, which is no reason to stop.

        Raises:
            TrainingError: this step, or on a GPU the one before, was not finite.
        """
        self.last = step, samples
        outcome = self.engine.loss_scale.after_step()
        scaled = outcome is not Step.MADE
        self.check.look(step, loss, None if scaled else self.engine.norm())
        self.stop_if_diverged(wait=outcome is Step.EXHAUSTED)
        if outcome is Step.EXHAUSTED:
            self._exhausted(step)
        return scaled

    def stop_if_diverged(self, *, wait: bool = True) -> None:
        """Raise if a step was not finite.

        Args:
            wait: whether to look at the newest step too, which on a GPU means to wait for it.

        Raises:
            TrainingError: it was not.
        """
        found = self.check.found(wait=wait)
        if found is not None:
            self._record(found.step)
            if found.step == 1:
                self._beginning(found)
        self._stop(found)

    def validation(self, step: int, loss: float) -> None:
        """Raise if a validation loss, the same on all ranks, is not finite."""
        if not math.isfinite(loss):
            self._stop(NotFinite(step, f"the validation loss is {loss}", None))

    def before_saving(self, step: int, ahead: Batch) -> None:
        """Raise if what would be saved is lost.

        Args:
            step: steps made.
            ahead: a micro-batch of the next step.

        Raises:
            TrainingError: weights or moments are not finite, or the loss that follows is not.
        """
        self._stop(self.check.among(step, self.engine.kept()))
        self.engine.loss_function.collect = False
        loss = self.engine.evaluate([ahead])
        self._stop(self.check.among(step, {"the loss with the new weights is": [loss]}))

    def _stop(self, found: NotFinite | None) -> None:
        if found is None:
            return
        precision = "use bf16 in place of fp16, " if self.engine.loss_scale.used else ""
        self._fail(
            f"{found}: the run has diverged",
            "lower the peak learning rate (optimizer.params.lr), lengthen schedule.warmup_steps, "
            f"{precision}or clip closer (gradient_clipping)",
        )

    def _beginning(self, found: NotFinite) -> NoReturn:
        """Of a first step no update can be the reason."""
        config = self.job.config
        given = {"init_from": config.init_from, "word_vectors": config.word_vectors}
        named = [f"{key} = {value}" for key, value in given.items() if value is not None]
        cause = [*named, f"model.initialization = {config.model.initialization}"][0]
        precision = (
            ", or float16 is too narrow for it: use bf16" if self.engine.loss_scale.used else ""
        )
        self._fail(
            f"{found}, which is made with the weights that the run begins with",
            f"look at what gives them, {cause}{precision}",
        )

    def _exhausted(self, step: int) -> NoReturn:
        self._record(step)
        scaler = self.engine.loss_scale
        end = "is as low as fp16.min_loss_scale allows" if scaler.dynamic else "is fixed"
        self._fail(
            f"the gradient overflows float16 at step {step}, and the loss scale {end}",
            "use bf16 in place of fp16, let the scale move (fp16.loss_scale 0, a lower "
            "fp16.min_loss_scale), or lower the peak learning rate (optimizer.params.lr)",
        )

    def _record(self, step: int) -> None:
        """A line of metrics without a loss, so that the report shows where the run ended."""
        if self.logger.metrics is not None:
            newest, samples = self.last
            samples -= (newest - step) * self.job.plan.batch
            tokens = samples * self.job.plan.sequence
            self.logger.metrics.write({"step": step, "tokens": tokens, "loss": math.nan})

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
