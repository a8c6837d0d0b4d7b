"""Some steps of a run under torch's profiler, in a process that keeps nothing of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dslm.environment import World
from dslm.parallel.world import device, join, shutdown
from dslm.train.output import UserStream, redirect_output
from dslm.train.prepare import Job
from dslm.train.record import RunRecord
from dslm.train.run_logger import RunLogger
from dslm.train.step_shares import STEP, step_shares
from dslm.train.throughput import WARM_UP
from dslm.train.watchdog import Watchdog

if TYPE_CHECKING:
    from dslm.train.loop import Loop


@dataclass(frozen=True)
class Profile:
    """What the steps of a rank took."""

    steps: int
    seconds: float
    """Of a step, with the profiler."""
    shares: dict[str, float]
    """The share of each of `step_shares.SHARES`."""


def profile(job: Job, world: World, words: Sequence[str], steps: int, trace: Path) -> Profile:
    """Make some steps, after a few that are slower; every rank must call it.

    Args:
        job: what to do, checked, in a folder that may be thrown away.
        world: this rank among the others.
        words: the arguments of the command.
        steps: how many.
        trace: where the first rank writes what happened, for chrome://tracing.
    """
    import torch
    from torch.profiler import ProfilerActivity, record_function

    name = device(world)
    activities = [ProfilerActivity.CPU, *([] if world.cpu else [ProfilerActivity.CUDA])]
    with redirect_output(job.folder.log(world.rank)) as (_, messages):
        join(world)
        config = replace(job.config, steps=max(job.config.steps, WARM_UP + steps))
        loop = new_loop(replace(job, config=config), world, words, messages)

        def wait() -> None:
            if not world.cpu:
                torch.cuda.synchronize(name)

        with loop.ahead.running():
            for _ in range(WARM_UP):
                loop.train_step()
            wait()
            with torch.profiler.profile(activities=activities) as profiled:
                began = time.perf_counter()
                for _ in range(steps):
                    with record_function(STEP):
                        loop.train_step()
                wait()
                seconds = (time.perf_counter() - began) / steps
        if world.is_main:
            profiled.export_chrome_trace(str(trace))
        shutdown()
    return Profile(steps, seconds, step_shares(profiled.events(), name))


def new_loop(job: Job, world: World, words: Sequence[str], messages: UserStream) -> Loop:
    """The loop of a model that has made no step; nothing is written before it runs.

    Args:
        job: what to do, checked.
        world: this rank among the others, which have joined.
        words: the arguments of the command.
        messages: the user's standard error.
    """
    from dslm.model.stages import drawn
    from dslm.train.checkpointer import Checkpointer
    from dslm.train.laid_out import laid_out
    from dslm.train.loop import Loop
    from dslm.train.predicted import Prediction

    prediction = Prediction(job, world)
    layers, engine = laid_out(job)
    saver = Checkpointer(engine, job, len(layers), RunRecord(job, world, words))
    saver.begin(drawn(layers))
    watchdog = Watchdog(job.folder, world, job.config.stall_minutes, messages)
    logger = RunLogger(job.config.steps, None, None)
    return Loop(job, engine, saver, device(world), logger, watchdog, prediction)
