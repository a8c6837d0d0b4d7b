"""A training run from its first screen to its last.

check (`prepare`, before torch) → all ranks agree → checksums → first screen → engine → restore →
`loop` → report → last screen. Every rank runs this; the first one reports and writes for all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from dslm.environment import World
from dslm.errors import Problem, UserError
from dslm.parallel.usage import free_memory
from dslm.parallel.world import device, join, limit_waits, shutdown, stop_if_asked
from dslm.report import write_report
from dslm.run.bad_steps import SkippedSteps
from dslm.run.checkpoint import read_state
from dslm.run.failure import Failure
from dslm.run.metrics import Metrics
from dslm.run.status import Ending
from dslm.signals import REQUESTS, Stopped
from dslm.train.activity import longest
from dslm.train.attention_kernel import attention_kernel
from dslm.train.boards import boards
from dslm.train.data_watch import blamed_on_shards
from dslm.train.expected_time import rank_device, run_seconds
from dslm.train.failing import failures_reported
from dslm.train.last_screen import last_screen
from dslm.train.output import UserStream, redirect_output
from dslm.train.prepare import Job
from dslm.train.record import FAILED_SAVES, RunRecord
from dslm.train.resumed import resumed
from dslm.train.run_logger import RunLogger
from dslm.train.screen import first_screen, scarce
from dslm.train.verification import (
    NO_CHECKPOINT,
    choose_checkpoint,
    verify_data,
    verify_source,
)
from dslm.train.watchdog import Watchdog
from dslm.train.word_vectors.embedding import (
    begin_with,
    broadcast_vectors,
    read_word_vectors,
)


def pretrain(
    job: Job, world: World, words: Sequence[str], found: tuple[int, list[Problem]]
) -> None:
    """Train.

    Args:
        job: what to do, checked and agreed upon by all ranks.
        world: this rank among the others.
        words: the arguments of the command, from which that to resume is made.
        found: on the first rank, what `take_folder` returned.

    Raises:
        ReportedError: data or checkpoints are damaged, or the run failed; it has been reported.
    """
    with redirect_output(job.folder.log(world.rank)) as (results, messages):
        record = RunRecord(job, world, words)
        failed = partial(_record_failure, record)
        limit = job.config.stall_minutes
        watchdog = Watchdog(job.folder, world, limit, messages, record.alive, failed)
        watchdog.start()
        with failures_reported(job.folder, watchdog, messages, sys.stderr, failed):
            ending = _until_it_ends(record, found, messages, watchdog)
            watchdog.enter("ending")
            shutdown()
            if world.is_main:
                record.write(*ending)
                with suppress(UserError):  # it was stopped before there was a step to report on
                    write_report(job.folder.path)
                results.lines(*last_screen(job, world, words, ending))
        watchdog.stop()


def _until_it_ends(
    record: RunRecord,
    found: tuple[int, list[Problem]],
    messages: UserStream,
    watchdog: Watchdog,
) -> Ending:
    """Prepare and train."""
    try:
        step = _claim(record, found, messages, watchdog)
        return _train(record, step, messages, watchdog)
    except Stopped as cause:
        return Ending("preempted", f"stopped {cause} before its first step")


def _train(record: RunRecord, step: int, messages: UserStream, watchdog: Watchdog) -> Ending:
    """Everything that needs torch; returns how the run ended."""
    from dslm.model.stages import drawn
    from dslm.train.checkpointer import Checkpointer
    from dslm.train.laid_out import laid_out
    from dslm.train.loop import Loop
    from dslm.train.predicted import Prediction
    from dslm.train.stored import stored
    from dslm.train.weight_transfer import compare, existing, initial_weights

    job, world = record.job, record.world
    join(world)
    if step >= job.config.steps:
        return Ending("done", f"all {step:,} steps had already been made; nothing was done")
    stop_if_asked(world)
    prediction = Prediction(job, world)
    layers, engine = laid_out(job)
    limit_waits(longest(job.config.stall_minutes))
    watchdog.enter("restoring")
    REQUESTS.renew()
    stop_if_asked(world)
    with _run_logger(record, max(step, 0), messages) as logger:
        checkpointer = Checkpointer(engine, job, len(layers), record, logger.message, watchdog.beat)
        loop = Loop(job, engine, checkpointer, device(world), logger, watchdog, prediction)
        if step > 0:
            folder = job.folder.checkpoint(step)
            if job.restores_moments(step):
                numbers = checkpointer.restore(folder, loop.train_step)
            else:
                checkpointer.begin(stored(folder))
                numbers = read_state(folder)
            loop.resume(numbers)
        elif job.init_from is not None:
            transfer = compare(job.init_from.model, job.config.model, job.config.tuning)
            before = existing(job.init_from, transfer, stored(job.init_from.checkpoint))
            checkpointer.begin(initial_weights(transfer, drawn(layers), before))
        elif job.config.word_vectors is not None:
            found = broadcast_vectors(world, record.vectors, job.config.model.width)
            checkpointer.begin(begin_with(layers, *found))
        else:
            checkpointer.begin(drawn(layers))
        watchdog.enter("training")
        with blamed_on_shards(job.sources.all):
            return loop.run()


def _record_failure(record: RunRecord, failure: Failure) -> None:
    """Say in the run's folder how it ended, without hiding the error that ended it."""
    main_is_gone = failure.rank == 0 and failure.found_by == record.world.rank
    with suppress(OSError, UserError):  # a full disk, or no step to report on
        if record.status == "running" or main_is_gone:
            how = "interrupted" if failure.code == 130 else failure.sentence()
            record.write("failed", how)
            write_report(record.job.folder.path)


def _claim(
    record: RunRecord,
    found: tuple[int, list[Problem]],
    messages: UserStream,
    watchdog: Watchdog,
) -> int:
    """What comes before the model: checksums by all ranks, then the first one's folder and screen.

    Returns:
        The step of the checkpoint to resume from, or `NO_CHECKPOINT`.
    """
    job, world = record.job, record.world
    if world.size > 1:
        join(world)
    stop_if_asked(world)
    progress = messages if world.is_main else sys.stderr  # by now a log
    if job.config.data.verify:
        verify_data(job, world, progress, watchdog.beat)
    stop_if_asked(world)
    step, problems = choose_checkpoint(job, world, *found, progress, watchdog.beat)
    if step == NO_CHECKPOINT:
        verify_source(job, world, progress, watchdog.beat)
    if step > 0:
        job = record.job = job.resuming(step)
    if not world.is_main:
        return step
    file = job.config.word_vectors
    if file is not None and step < 1:
        record.vectors = read_word_vectors(file, job.sources.train[0].tokenizer, job.stream)
    before = job.folder.read() if step > 0 else {}
    record.failed_saves += before.get(FAILED_SAVES, [])
    record.write("running")
    job.folder.add_tokenizer(job.sources.train[0].tokenizer)
    notes = [f"{'damaged':<9}{problem}" for problem in problems]
    notes += scarce(job, world, free_memory(world))
    notes += resumed(job, before, step) if step > 0 else []
    seconds = run_seconds(job, world, rank_device(world), max(step, 0))
    kernel = attention_kernel(job, world)
    screen = first_screen(job, world, step, record.vectors, seconds, kernel)
    RunLogger(0, None, messages).message(*screen, *notes, "")
    return step


@contextmanager
def _run_logger(record: RunRecord, step: int, messages: UserStream) -> Iterator[RunLogger]:
    """The logger of this rank: only the first rank has a file of metrics and a user."""
    job = record.job
    if not record.world.is_main:
        yield RunLogger(job.config.steps, None, None)
        return
    wanted = boards(job.config, job.folder.path, job.settings)
    with Metrics(job.folder.metrics, step, wanted, record.put_back) as metrics:
        skipped = SkippedSteps(job.folder.skipped, step)
        best_by = job.config.best_by
        yield RunLogger(job.config.steps, metrics, messages, skipped, best_by)
