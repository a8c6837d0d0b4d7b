"""What a user reads when a run has ended: how, where everything is, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dslm.environment import World
from dslm.launchers import MPI
from dslm.run.best import best_measured
from dslm.run.schedule import length, settled
from dslm.run.status import Ending
from dslm.train.prepare import Job


def last_screen(job: Job, world: World, words: Sequence[str], ending: Ending) -> list[str]:
    """How the run ended, where everything is, and what to type next."""
    config, run = job.config, shlex.quote(job.folder.path.as_posix())
    held_out = config.data.validation or "SHARDS"
    generate, completion = f"python launch/generate.py {run} --prompt", job.objective.completion()
    preempted = ending.status == "preempted"
    dropped = ("fresh=",) if preempted else ("fresh=", "steps=")
    again = [word for word in words if not word.startswith(dropped)]
    again += [] if preempted else _longer(job)
    chosen, best = best_measured(job.folder.checkpoints), ""
    if chosen is not None and config.keep_best:
        best = f"step {chosen[0]:,}, {chosen[1]}; --step best takes it"
    lines = [
        ("ended", ending.how),
        *([("best", best)] if best else []),
        ("folder", f"{run}: report.html, metrics.jsonl, checkpoints/, logs/"),
        ("evaluate", f"python launch/evaluate.py {run} --data {shlex.quote(held_out)}"),
        *([("generate", f"{generate} {completion.example}")] if completion else []),
        ("resume", f"{command(world)} {shlex.join(again)}"),
    ]
    return [f"{name:<9}{text}" for name, text in lines]


def command(world: World) -> str:
    """How this process was most likely started."""
    script, one_host = "launch/pretrain.py", world.size == world.local_size
    hosts = world.size // world.local_size
    if world.launcher == "srun":
        nodes = "" if one_host else f"-N {hosts} "
        return f"srun {nodes}-n {world.size} python {script}"
    if world.launcher in MPI:
        return f"{world.launcher} -n {world.size} python {script}"
    if world.launcher == "torchrun":
        nodes = "" if one_host else f"--nnodes {hosts} "
        return f"torchrun {nodes}--nproc_per_node {world.local_size} {script}"
    if world.size == 1:
        return f"python {script}"
    return f"deepspeed {f'--num_gpus {world.size}' if one_host else '--hostfile HOSTS'} {script}"


def _longer(job: Job) -> list[str]:
    """The words with which the run goes on, without a jump of the learning rate if there is one."""
    schedule, steps = job.config.schedule, job.config.steps
    planned = length(schedule, steps)
    more = planned if planned > steps else 2 * steps
    kept = settled(schedule, steps, more)
    return [f"steps={more}", *([f"schedule.steps={kept.steps}"] if kept != schedule else [])]
