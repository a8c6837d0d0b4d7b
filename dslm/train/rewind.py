"""Goes back to the newest checkpoint after a spike, and passes over the samples that led to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from dslm.errors import TrainingError
from dslm.progress import counted
from dslm.run.bad_steps import SkippedSamples, gaps_of, read_skipped
from dslm.train.checkpointer import Checkpointer
from dslm.train.prepare import Job
from dslm.train.run_logger import RunLogger


@dataclass(frozen=True)
class Spike:
    """A step whose loss is far above those before."""

    step: int
    samples: range
    """What it read."""
    reason: str


class Rewinds:
    """The rewinds of a run; every rank makes the same calls.

    Args:
        job: what is trained.
        checkpointer: reads the checkpoints.
        logger: where a rewind is recorded.
    """

    def __init__(self, job: Job, checkpointer: Checkpointer, logger: RunLogger) -> None:
        self.job, self.checkpointer, self.logger = job, checkpointer, logger
        lines = read_skipped(job.folder.skipped)
        self.gaps, self.made = gaps_of(lines), sum(one.rewound_to is not None for one in lines)

    def next(self, sample: int) -> int:
        """The first sample of the step that would begin at one."""
        return self.gaps.next(sample, self.job.plan.batch)

    def rewind(
        self, spike: Spike, materialize_moments: Callable[[], object]
    ) -> dict[str, Any] | None:
        """Restore the newest checkpoint.

        Args:
            spike: why.
            materialize_moments: see `Checkpointer.restore`.

        Returns:
            The numbers of it; `None` if there is none yet, and the run goes on as it is.

        Raises:
            TrainingError: the run may rewind no more.
        """
        self.checkpointer.finish()
        step, config = self._newest_step(), self.job.config.bad_steps
        if not step:
            self.logger.message(f"warning: {spike.reason}; there is no checkpoint to go back to")
            return None
        if self.made >= config.rewinds:
            raise TrainingError(
                f"{spike.reason}, after {counted(self.made, 'rewind')} (bad_steps.rewinds); the "
                f"checkpoint of step {step} is kept; lower the peak learning rate "
                "(optimizer.params.lr), clip closer (gradient_clipping), or allow more rewinds, "
                "and run again to resume from it"
            )
        numbers = self.checkpointer.restore(self.job.folder.checkpoint(step), materialize_moments)
        self._pass_over(spike, step, numbers)
        return numbers

    def _pass_over(self, spike: Spike, step: int, numbers: dict[str, Any]) -> None:
        """Record the samples that are not read again."""
        end, most = spike.samples.stop, self.job.config.bad_steps.pass_over
        first = max(numbers["samples"], end - most) if most else numbers["samples"]
        gap = range(first, end)
        self.gaps, self.made = self.gaps | gap, self.made + 1
        self.logger.forget_after(step)
        skipped = SkippedSamples(spike.step, first, len(gap), spike.reason, step)
        if self.logger.skipped is not None:
            self.logger.skipped.add(skipped)
        self.logger.message(
            f"warning: {spike.reason}: back to step {step}; samples {first:,}–{end - 1:,} are "
            "passed over"
        )

    def _newest_step(self) -> int:
        """The step of the newest checkpoint, as the first rank sees it; 0 if there is none."""
        step = torch.tensor(self.job.folder.newest_step())
        step = step.to(self.checkpointer.engine.engine.device)
        torch.distributed.broadcast(step, 0)
        return int(step)
