"""A training run from its first screen to its last.

check (`prepare`, before torch) → first screen → join the ranks → engine → restore → `loop` → report
→ last screen. Every rank runs this; the first one reports and writes for all.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from dslm.environment import World
from dslm.errors import CheckpointError, DslmError, Problem, UserError
from dslm.parallel.world import device, join, shutdown
from dslm.report import write_report
from dslm.run.checkpoint import read_state, verify_sizes
from dslm.run.metrics import Board, Metrics, skipped_steps, validation_losses
from dslm.train.output import redirect_output
from dslm.train.prepare import Job
from dslm.train.record import RunRecord
from dslm.train.resumed import resumed
from dslm.train.run_logger import RunLogger
from dslm.train.screen import first_screen, last_screen
from dslm.train.verification import (
    NO_CHECKPOINT,
    choose_checkpoint,
    first_sight,
    verify_data,
    verify_source,
)
from dslm.train.word_vectors.embedding import (
    WordVectors,
    begin_with,
    broadcast_vectors,
    read_word_vectors,
)


def pretrain(job: Job, world: World, words: Sequence[str]) -> None:
    """Train.

    Args:
        job: what to do, checked.
        world: this rank among the others.
        words: the arguments of the command, from which that to resume is made.

    Raises:
        UserError: another run is writing to the folder, or data or checkpoints are damaged.
        TrainingError: the run failed.
    """
    found = _lock(job) if world.is_main else (NO_CHECKPOINT, [])
    record = RunRecord(job, world, words)
    with redirect_output(job.folder.log(world.rank)) as (results, messages):
        step = _claim(job, world, record, found, messages)
        try:
            how = _train(job, world, step, record.vectors, messages)
        except BaseException as error:
            if world.is_main:
                _record_failure(record, error)
            raise
        shutdown()
        if world.is_main:
            record.write("done", how)
            write_report(job.folder.path)
            print(*last_screen(job, world, words, how), sep="\n", file=results)


def _train(job: Job, world: World, step: int, vectors: WordVectors | None, messages: TextIO) -> str:
    """Everything that needs torch; returns how the run ended."""
    from dslm.model.stages import DROPOUT_KEYS, drawn, stages
    from dslm.parallel.layout import create
    from dslm.train.checkpointer import Checkpointer, stored
    from dslm.train.loop import Loop, Position
    from dslm.train.weight_transfer import compare, initial_weights

    join(world)
    if step >= job.config.steps:
        return f"all {step:,} steps had already been made; nothing was done"
    extras = (*job.objective.extras, *([DROPOUT_KEYS] if job.config.model.dropout else []))
    layers = stages(job.config.model, job.config.seed, extras)
    engine = create(layers, job.plan, job.deepspeed, job.objective)
    checkpointer = Checkpointer(engine, job, len(layers))
    with _run_logger(job, world, max(step, 0), messages) as logger:
        loop = Loop(job, engine, checkpointer, device(world), logger)
        if step > 0:
            folder = job.folder.checkpoint(step)
            if job.restores_moments(step):
                numbers = checkpointer.restore(folder, loop.train_step)
            else:
                checkpointer.begin(stored(folder))
                numbers = read_state(folder)
            measured = validation_losses(job.folder.metrics, numbers["step"])
            skipped = skipped_steps(job.folder.metrics, numbers["step"])
            loop.begin(Position(numbers["step"], numbers["samples"], skipped), measured)
        elif job.init_from is not None:
            transfer = compare(job.init_from.model, job.config.model)
            before = stored(job.init_from.checkpoint)
            checkpointer.begin(initial_weights(transfer, drawn(layers), before))
        elif job.config.word_vectors is not None:
            found = broadcast_vectors(world, vectors, job.config.model.width)
            checkpointer.begin(begin_with(layers, *found))
        else:
            checkpointer.begin(drawn(layers))
        return loop.run()


def _record_failure(record: RunRecord, error: BaseException) -> None:
    """Say in the run's folder how it ended, without hiding the error that ended it."""
    name = "" if isinstance(error, DslmError) else f"{type(error).__name__}: "
    how = "interrupted" if isinstance(error, KeyboardInterrupt) else f"{name}{error}"
    with suppress(OSError, UserError):  # a full disk, or no step to report on
        record.write("failed", how)
        write_report(record.job.folder.path)


def _lock(job: Job) -> tuple[int, list[Problem]]:
    """The first rank alone, before torch: keep others out, look at what there is."""
    job.folder.lock()
    step, problems = first_sight(job)
    if job.init_from is not None and step == NO_CHECKPOINT:
        wrong = verify_sizes(job.init_from.checkpoint)
        if wrong:
            raise CheckpointError(*wrong)
    return step, problems


def _claim(
    job: Job,
    world: World,
    record: RunRecord,
    found: tuple[int, list[Problem]],
    messages: TextIO,
) -> int:
    """What comes before the model: checksums by all ranks, then the first one's folder and screen.

    Returns:
        The step of the checkpoint to resume from, or `NO_CHECKPOINT`.
    """
    if world.size > 1:
        join(world)
    progress = messages if world.is_main else sys.stderr  # by now a log
    if job.config.data.verify:
        verify_data(job, world, progress)
    step, problems = choose_checkpoint(job, world, *found, progress)
    if step == NO_CHECKPOINT:
        verify_source(job, world, progress)
    if not world.is_main:
        return step
    file = job.config.word_vectors
    if file is not None and step < 1:
        record.vectors = read_word_vectors(file, job.sources.train[0].tokenizer, job.stream)
    before = job.folder.read() if step > 0 else {}
    record.write("running")
    if not job.folder.tokenizer.exists():
        shutil.copytree(job.sources.train[0].tokenizer, job.folder.tokenizer)
    notes = [f"{'damaged':<9}{problem}" for problem in problems]
    notes += resumed(job, before, step) if step > 0 else []
    screen = first_screen(job, world, step, record.vectors)
    RunLogger(0, None, messages).message(*screen, *notes, "")
    return step


@contextmanager
def _run_logger(job: Job, world: World, step: int, messages: TextIO) -> Iterator[RunLogger]:
    """The logger of this rank: only the first rank has a file of metrics and a user."""
    if not world.is_main:
        yield RunLogger(job.config.steps, None, None)
        return
    with Metrics(job.folder.metrics, step, _board(job)) as metrics:
        yield RunLogger(job.config.steps, metrics, messages)


def _board(job: Job) -> Board | None:
    """A writer of TensorBoard's event files, if they are wanted."""
    if not job.config.tensorboard:
        return None
    from torch.utils.tensorboard import SummaryWriter

    board: Board = SummaryWriter(str(job.folder.path / "tensorboard"))
    return board
