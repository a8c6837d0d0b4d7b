"""What was predicted of a run beside what is measured, once its first steps have been made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dslm.environment import World
from dslm.parallel.memory import estimate
from dslm.parallel.usage import MemoryUse
from dslm.parallel.world import device
from dslm.train.expected_time import rank_device, step_seconds
from dslm.train.prepare import Job
from dslm.train.run_logger import RunLogger
from dslm.train.throughput import WARM_UP

GIB = 2**30


class Prediction:
    """Compares memory, and on a known device the time of a step; to be made before the model is.

    Args:
        job: what is done.
        world: this rank among the others.
    """

    def __init__(self, job: Job, world: World) -> None:
        self.job, self.world, self.device = job, world, device(world)
        compiled = job.config.compile
        self.use = MemoryUse(self.device, float8=job.float8 is not None, compiled=compiled)
        self.steps = 0
        self.began = 0.0

    @contextmanager
    def compiled(self) -> Iterator[None]:
        """What is compiled inside takes neither of the time nor of the memory that is compared."""
        began = time.monotonic()
        with self.use.left_out():
            yield
        self.began += time.monotonic() - began

    def step(self, logger: RunLogger) -> None:
        """A step has been made; every rank must call it."""
        self.steps += 1
        if self.steps == WARM_UP - 1:
            self.began = self._now()
        elif self.steps == WARM_UP:
            seconds, memory = self._now() - self.began, self._memory()
            if self.world.is_main:
                logger.message(f"measured {memory}{self._time(seconds)}")

    def _memory(self) -> str:
        """The most that any rank has taken."""
        most = torch.tensor(self.use.peak(), dtype=torch.int64, device=self.device)
        torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
        job, cpu = self.job, self.world.cpu
        predicted = estimate(
            job.config.model, job.plan, job.deepspeed, cpu=cpu, forward=job.forward
        )
        held = predicted.device + (predicted.host if self.world.cpu else 0.0)
        return f"{int(most) / GIB:.3f} GiB a rank at most, {held / GIB:.3f} predicted"

    def _time(self, seconds: float) -> str:
        """The last step's, where the device is known."""
        predicted = step_seconds(self.job, self.world, rank_device(self.world))
        if predicted is None:
            return ""
        return f" · {seconds:.3g} s a step, {predicted:.3g} predicted"

    def _now(self) -> float:
        """The time when the device has done what it was given."""
        if not self.world.cpu:
            torch.cuda.synchronize(self.device)
        return time.monotonic()
