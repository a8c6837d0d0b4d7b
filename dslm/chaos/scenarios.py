"""What is let happen: each function lets one thing go wrong and says whether the run survived it.

Survived means: it ends by itself, it says what happened, and the same command goes on with the same
rows and, at the same layout, with the very same losses as a run that was never disturbed.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dslm.chaos.bench import FIRST, SECOND, STEPS, Bench
from dslm.chaos.fault import Fault
from dslm.chaos.trial import Trial, record, steps
from dslm.parallel.plan import BATCH, MICRO

CLOSE = 0.05
"""Nats by which a loss may differ where another layout adds numbers in another order."""

Json = dict[str, Any]
Claim = tuple[str, bool]
"""What should be so, and whether it is."""
Survived = tuple[Trial, list[Claim]]
"""The start that was disturbed, and what should be so of the run."""


def killed_while_writing(bench: Bench, name: str, rank: int, file: str) -> Survived:
    """A rank dies with half a checkpoint written."""
    trial = bench.start(name, Fault("killed while writing", rank, SECOND, file))
    claims = [
        *_ends_badly(trial, rank),
        ("the older checkpoint stays", steps(trial.run) == [FIRST]),
    ]
    return trial, [*claims, *_goes_on(bench, name, FIRST)]


def killed(bench: Bench, name: str) -> Survived:
    """A rank dies within a step."""
    trial = bench.start(name, Fault("killed", 1, SECOND + 2), pause=0.2)
    return trial, [*_ends_badly(trial, 1), *_goes_on(bench, name, SECOND)]


def launcher_terminated(bench: Bench, name: str) -> Survived:
    """The launcher alone gets the signal, as from a scheduler or a closed session."""
    trial = bench.start(name, pause=1.0)
    trial.until_step(3)
    trial.process.send_signal(signal.SIGTERM)
    trial.wait()
    status = record(trial.run).get("status")
    stopped = max(steps(trial.run), default=0)
    claims = [
        ("no rank is left over", not trial.stuck),
        ("run.json says preempted", status == "preempted"),
        ("what was made is saved", 3 <= stopped < STEPS),
    ]
    return trial, [*claims, *_goes_on(bench, name, stopped)]


def damaged(bench: Bench, name: str, damage: Callable[[Path], None], resumes: int) -> Survived:
    """The newest checkpoint, or what belongs to it, is damaged while nothing runs."""
    damage(bench.two_checkpoints(name))
    return _resumed(bench, name, resumes)


def other_layout(
    bench: Bench,
    name: str,
    ranks: int = Bench.RANKS,
    change: Callable[[Bench], Json] | None = None,
) -> Survived:
    """The run goes on with another number of ranks, ZeRO stage, or split of the batch."""
    bench.two_checkpoints(name)
    words = Bench.ALONE if ranks == 1 else ()
    changed = change(bench) if change else None
    trial = bench.start(name, ranks=ranks, words=words, deepspeed=changed)
    return trial, _after(bench, trial, SECOND, exact=False)


def other_stage(bench: Bench) -> Json:
    """DeepSpeed's block of ZeRO with another stage that is legal beside the rest."""
    zero = dict(bench.deepspeed.get("zero_optimization", {}))
    other = {0: 1, 1: 0 if bench.pipeline_stages > 1 else 2, 2: 3, 3: 2}
    return {"zero_optimization": {**zero, "stage": other[zero.get("stage", 0)]}}


def larger_micro_batch(bench: Bench) -> Json:
    """Half the accumulation steps with twice the sequences each."""
    return {MICRO: 2 * bench.micro_batch}


def more_ranks(bench: Bench, name: str) -> Survived:
    """A run of one rank goes on with two."""
    trial = bench.start(name, ranks=1, words=[*Bench.ALONE, f"steps={SECOND}"])
    ended = ("one rank trains", trial.wait() == 0)
    trial = bench.start(name)
    return trial, [ended, *_after(bench, trial, SECOND, exact=False)]


def larger_batch(bench: Bench, name: str) -> Survived:
    """The batch is doubled: the next rows follow those that have been read."""
    bench.two_checkpoints(name)
    trial = bench.start(name, deepspeed={BATCH: 2 * bench.batch})
    ended = ("it goes on to its end", trial.wait() == 0)
    expected, found = bench.reference.rows(), trial.rows()
    following = [
        sorted(expected[SECOND + 2 * pair + 1] + expected[SECOND + 2 * pair + 2])
        == found.get(SECOND + pair + 1)
        for pair in range((STEPS - SECOND) // 2)
    ]
    return trial, [ended, ("no row is repeated, none is missing", all(following))]


def disk_full(bench: Bench, name: str) -> Survived:
    """One rank cannot write its part of a checkpoint, once."""
    trial = bench.start(name, Fault("disk full", 1, SECOND))
    code = trial.wait()
    claims = [
        ("it trains on to its end", code == 0),
        ("it says so", "No space left on device" in trial.text()),
        ("the other checkpoints are there", steps(trial.run) == [STEPS, FIRST]),
        ("the losses are the same", trial.losses() == bench.reference.losses()),
    ]
    return trial, claims


def stopped(bench: Bench, name: str) -> Survived:
    """A rank stands still for ever."""
    trial = bench.start(name, Fault("stopped", 1, SECOND + 2), pause=0.2)
    return trial, [*_ends_badly(trial, 1), *_goes_on(bench, name, SECOND)]


def not_a_number(bench: Bench, name: str) -> Survived:
    """The loss of one rank is not a number, in one step."""
    step = SECOND + 2
    rank = Bench.RANKS - 1
    trial = bench.start(name, Fault("nan", rank, step))
    code = trial.wait()
    said = f"step {step}" in trial.text()
    if code == 0:  # the step has been left out
        last = trial.losses().get(STEPS, math.nan)
        return trial, [("it says which step", said), ("it learns on", math.isfinite(last))]
    claims = [("it says which step", said), ("nothing bad is saved", max(steps(trial.run)) < step)]
    return trial, [*claims, *_goes_on(bench, name, SECOND)]


def two_runs(bench: Bench, name: str) -> Survived:
    """A second run is started in the folder of one that is going on."""
    first = bench.start(name, pause=1.0)
    first.until_step(2)
    second = bench.start(name)
    refused, went_on = second.wait(), first.wait()
    claims = [
        ("the second is refused", refused != 0 and "another run" in second.text()),
        ("the first goes on", went_on == 0 and first.losses() == bench.reference.losses()),
    ]
    return second, claims


def _ends_badly(trial: Trial, rank: int) -> list[Claim]:
    code = trial.wait()
    named = f"rank {rank}" in trial.text()
    return [
        ("it ends by itself", not trial.stuck),
        ("its exit code says so", code != 0),
        ("it names the rank", named),
        ("run.json says failed", record(trial.run).get("status") == "failed"),
    ]


def _goes_on(bench: Bench, name: str, step: int) -> list[Claim]:
    return _resumed(bench, name, step)[1]


def _resumed(bench: Bench, name: str, step: int) -> Survived:
    trial = bench.start(name)
    return trial, _after(bench, trial, step, exact=True)


def _after(bench: Bench, trial: Trial, step: int, exact: bool) -> list[Claim]:
    """What is so of a start that resumes at a step: the same rows, the same losses."""
    code = trial.wait()
    found, expected = trial.losses(), bench.reference.losses()
    rows, right = trial.rows(), bench.reference.rows()
    after = range(step + 1, STEPS + 1)
    apart = max((abs(found.get(n, math.nan) - expected[n]) for n in after), default=0.0)
    return [
        ("the same command goes on to the end", code == 0 and not trial.stuck),
        (f"from step {step}", trial.resumed_from() == step),
        ("with the same rows", all(rows.get(n) == right[n] for n in after)),
        ("with the same losses", apart == 0 if exact else apart <= CLOSE),
    ]
