"""What a run folder says about its run: `run.json` and `metrics.jsonl`, read once and put in order.

A log is the history of every process that worked on the run. A process that resumes from a
checkpoint repeats the last steps of the one before it, so a line whose step was logged already
takes back everything from that step on: what remains is the one history that led to the final
weights. The legs of that history, one a process, stay known, to be marked in the charts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dslm.errors import CheckpointError, Problem
from dslm.files.typed import typed
from dslm.progress import counted
from dslm.run.folder import RunFolder
from dslm.run.metrics import parse_line, read_lines
from dslm.run.results import Result, read_evaluations, read_samples

T = TypeVar("T")


class NoStepError(CheckpointError):
    """A run has logged no step yet, so that there is nothing to draw."""


class Entry(NamedTuple):
    """One line of the log."""

    step: int
    leg: int
    """Which process wrote it, from 0."""
    values: dict[str, Any]
    seconds: float = 0.0
    """Since the run began, over all processes, work that was lost included."""


@dataclass(frozen=True)
class Log:
    """The history that led to the final weights, in the order of its steps."""

    training: Sequence[Entry]
    evaluations: Sequence[Entry]
    seconds: float
    """Wall time of all processes together, work that was lost included."""
    unreadable: int
    """Lines that hold no entry: cut short when a process was killed."""

    @property
    def resumes(self) -> list[int]:
        """The steps after which another process carried on."""
        return [a.step for a, b in pairwise(self.training) if a.leg != b.leg]


@dataclass(frozen=True)
class Record:
    """Everything the page is made from."""

    folder: Path
    facts: dict[str, Any]
    """The content of `run.json`; any part of it may be missing."""
    log: Log
    evaluations: Sequence[Result]
    """What was measured of the model, the newest last."""
    samples: Sequence[Result]
    """What the model wrote, the newest last."""
    quantization: dict[str, Any]
    """The content of `quantization.json`; empty where there is none."""

    def fact(self, kind: type[T], *path: str) -> T | None:
        """What `run.json` holds at a path of keys; `None` where it is missing or of another type.

        Args:
            kind: of the value, see `dslm.files.typed`.
            path: the keys.
        """
        value: Any = self.facts
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return typed(value, kind)

    def fingerprints(self, split: str) -> list[str]:
        """Those of the shard sets of a split, ``train`` or ``validation``, as far as known."""
        found = self.fact(object, "data", split)
        listed = found if isinstance(found, list) else [found]
        named = [one for one in listed if isinstance(one, dict)]
        return [str(one["fingerprint"]) for one in named if "fingerprint" in one]


def read_record(folder: Path) -> Record:
    """Read a run folder.

    Raises:
        UserError: `folder` is no run folder, its files cannot be read or hold what no run writes,
            or its run has logged no step yet (`NoStepError`).
    """
    try:
        return _read(folder)
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
        raise CheckpointError(Problem(str(error.filename or folder), None, rule)) from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        rule = f"holds what no run writes: {error}"
        raise CheckpointError(Problem(str(folder), None, rule)) from error


def _read(folder: Path) -> Record:
    run = RunFolder(folder)
    facts, log = run.read(), order(read_lines(run.metrics))
    if not log.training:
        fix = "make the report when the run has logged a step"
        rule = "holds no training step yet"
        if log.unreadable:
            rule += f", and {counted(log.unreadable, 'line')} that cannot be read"
        raise NoStepError(Problem(str(run.metrics), None, rule, fix))
    results = read_evaluations(folder), read_samples(folder)
    return Record(folder, facts, log, *results, run.read_quantization())


def order(lines: Iterable[str]) -> Log:
    """Put the lines of a log in order: later lines replace what they repeat or take back.

    Args:
        lines: JSON objects in the order they were written. `seconds` of a training line counts from
            the start of its process, so it falls where another process carried on.
    """
    training: dict[int, Entry] = {}
    evaluations: dict[int, Entry] = {}
    leg, latest, clock, seconds, unreadable = 0, 0, 0.0, 0.0, 0
    for line in lines:
        values = parse_line(line)
        if values is None:
            unreadable += bool(line.strip())
            continue
        step, trained = int(values["step"] or 0), "loss" in values
        now = float(values.get("seconds", clock) or 0) if trained else clock
        if step < latest or now < clock or (trained and step in training):
            training = {known: entry for known, entry in training.items() if known < step}
            evaluations = {known: entry for known, entry in evaluations.items() if known < step}
            leg, seconds = leg + 1, seconds + clock
            now = now if trained else 0.0
        kind = training if trained else evaluations
        kind[step] = Entry(step, leg, values, seconds + now)
        latest, clock = step, now
    return Log(tuple(training.values()), tuple(evaluations.values()), seconds + clock, unreadable)
