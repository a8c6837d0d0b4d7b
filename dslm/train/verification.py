"""The checksums of data and checkpoints, compared by all ranks, each a share of the files.

Each file is read once, by one rank of all; where hosts have copies of their own, once on each host.
What is wrong at first sight, a missing file or a size, the first rank has found before. A single
rank does all of this without torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from dslm.environment import World
from dslm.errors import CheckpointError, DataError, Problem
from dslm.files.fingerprint import Expected
from dslm.parallel.world import any_rank, broadcast
from dslm.progress import Progress
from dslm.run.checkpoint import (
    checkpoints,
    listed,
    newest_good,
    remove_unfinished,
    verify_sizes,
)
from dslm.run.init_from import damaged_source
from dslm.train.prepare import Job, check_optimizer
from dslm.train.shares import shares

NO_CHECKPOINT = -1
"""In place of a step, which can be broadcast."""
NONE_WHOLE = -2

Beat = Callable[[], object]
"""Called now and then while something is read."""


def damaged(
    files: Sequence[Expected], world: World, label: str, messages: TextIO, beat: Beat
) -> list[Problem]:
    """Compare files with their checksums; every rank must call it, and hashes its share alone.

    Args:
        files: the same on every rank.
        world: this rank among the others.
        label: what is being done.
        messages: where to show how far this rank has come.
        beat: called for each part that was read.

    Returns:
        What is wrong, on every rank.
    """
    shared = are_shared(files, world)
    mine = owned([file.bytes for file in files], world, shared)
    size = sum(file.bytes for file, own in zip(files, mine, strict=True) if own)
    with Progress(size, "B", label, messages) as progress:

        def advance(count: int) -> None:
            beat()
            progress.advance(count)

        broken = [own and not file.whole(advance) for file, own in zip(files, mine, strict=True)]
    found = zip(files, any_rank(world, broken), strict=True)
    problems = [file.damage for file, is_broken in found if is_broken]
    return problems if shared or not problems else _on_hosts(files, world, broken)


def _on_hosts(files: Sequence[Expected], world: World, broken: Sequence[bool]) -> list[Problem]:
    """What is wrong with each host's copies; every rank must call it."""
    problems, host = [], world.rank - world.local_rank
    for first in range(world.size):
        there = any_rank(world, [one and host == first for one in broken])
        for file, is_broken in zip(files, there, strict=True):
            if is_broken:
                where = f"{file.damage.where} on the host of rank {first}"
                problems.append(replace(file.damage, where=where))
    return problems


def are_shared(files: Sequence[Expected], world: World) -> bool:
    """Whether all hosts see the very same files, and not copies; every rank must call it."""
    if world.size == world.local_size:
        return True
    digest = hashlib.sha256(repr([_identity(file.path) for file in files]).encode()).digest()
    mine = int.from_bytes(digest[:7], "big")
    return not any_rank(world, [broadcast(world, mine) != mine])[0]


def _identity(path: Path) -> tuple[int, ...]:
    """What is the same on all hosts for a file on a shared disk, and for no copy of it."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def owned(sizes: Sequence[int], world: World, shared: bool) -> list[bool]:
    """Which files this rank reads.

    Args:
        sizes: of all files.
        world: this rank among the others.
        shared: whether one rank of all reads a file; else one of each host does.
    """
    ranks, own = (world.size, world.rank) if shared else (world.local_size, world.local_rank)
    return [owner == own for owner in shares(sizes, ranks)]


def verify_data(job: Job, world: World, messages: TextIO, beat: Beat) -> None:
    """Compare all shards with their checksums; see `damaged`.

    Raises:
        DataError: with everything that is wrong, on every rank.
    """
    files = [file for source in job.sources.all for file in source.files]
    if problems := damaged(files, world, "checking shards", messages, beat):
        raise DataError(*problems)


def take_folder(job: Job) -> tuple[int, list[Problem]]:
    """The first rank alone, before torch: keep others out, look at what there is.

    Returns:
        The outcome of `first_sight`.

    Raises:
        CheckpointError: another run is writing there, no checkpoint is whole, or the weights to
            begin with are damaged.
    """
    job.folder.lock.take()
    remove_unfinished(job.folder.checkpoints)
    step, problems = first_sight(job)
    if job.init_from is not None and step == NO_CHECKPOINT:
        wrong = verify_sizes(job.init_from.checkpoint, moments=False)
        if wrong:
            raise damaged_source(job.init_from, wrong)
    return step, problems


def first_sight(job: Job) -> tuple[int, list[Problem]]:
    """The newest checkpoint with all its files, and what is wrong with newer ones.

    Raises:
        CheckpointError: there are checkpoints, but none is whole.
    """
    root = job.folder.checkpoints
    step, problems = newest_good(root, verify_sizes)
    if step is None and checkpoints(root):
        raise _none_whole(job, problems)
    return NO_CHECKPOINT if step is None else step, problems


def choose_checkpoint(
    job: Job, world: World, step: int, problems: list[Problem], messages: TextIO, beat: Beat
) -> tuple[int, list[Problem]]:
    """The newest whole checkpoint's step on every rank, and what is wrong with newer ones.

    Args:
        job: whose checkpoints.
        world: this rank among the others.
        step: on the first rank, the outcome of `first_sight`.
        problems: the same.
        messages: see `damaged`.
        beat: the same.

    Raises:
        CheckpointError: none is whole, or that one holds the moments of another optimizer.
    """
    while (step := broadcast(world, step)) >= 0:
        files, _ = listed(job.folder.checkpoint(step))
        found = damaged(files, world, "checking the checkpoint", messages, beat)
        if not found:
            if other := check_optimizer(job.folder, step, job.config, job.deepspeed):
                raise CheckpointError(*problems, *other)
            return step, problems
        problems += found
        if world.is_main:
            older, more = newest_good(job.folder.checkpoints, verify_sizes, before=step)
            step, problems = NONE_WHOLE if older is None else older, problems + more
    if step == NONE_WHOLE:
        raise _none_whole(job, problems)
    return NO_CHECKPOINT, problems


def verify_source(job: Job, world: World, messages: TextIO, beat: Beat) -> None:
    """Compare the weights to begin with, if there are any, with their checksums; see `damaged`.

    Raises:
        CheckpointError: with everything that is wrong with them.
    """
    if job.init_from is None:
        return
    files, _ = listed(job.init_from.checkpoint, moments=False)
    label = "checking the weights to begin with"
    if problems := damaged(files, world, label, messages, beat):
        raise damaged_source(job.init_from, problems)


def _none_whole(job: Job, problems: Sequence[Problem]) -> CheckpointError:
    rule = "no whole checkpoint is left"
    fix = "choose another run=, or remove this folder to start over"
    return CheckpointError(*problems, Problem(str(job.folder.checkpoints), None, rule, fix))
