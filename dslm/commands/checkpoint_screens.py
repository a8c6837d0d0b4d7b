"""What ``checkpoint`` prints: lines for people, or records for programs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dslm.commands.columns import columns
from dslm.errors import Problem
from dslm.progress import counted, duration, human
from dslm.run.best import LOSS
from dslm.run.checkpoint_list import Inventory, Listed, Measured
from dslm.run.checkpoint_prune import Pruning
from dslm.run.standing import seconds_since

NONE = "—"


def list_screen(run: Path, standing: str, found: Inventory) -> Iterator[str]:
    """The table of a run's checkpoints, and what it means.

    Args:
        run: as it was given.
        standing: how the run stands, a sentence; empty where that is not known.
        found: the checkpoints.
    """
    size = sum(one.bytes for one in found.checkpoints)
    count = counted(len(found.checkpoints), "checkpoint")
    yield " · ".join([str(run), f"{count}, {human(size)}B", *([standing] if standing else [])])
    if found.checkpoints:
        metric = [] if found.best_by == LOSS else [found.best_by]
        head = ["step", "tokens", "loss", "validation", *metric, "size", "age", "layout", "state"]
        rows = [_row(one, found) for one in found.checkpoints]
        yield ""
        yield from columns(
            [head, *rows], " ".join(["step tokens loss validation size age", *metric])
        )
    yield from _problems(found)
    if found.unfinished:
        by = "being written or removed now" if found.in_use else "left by a killed run; may go"
        yield ""
        for rest in found.unfinished:
            yield f"{rest.path}: unfinished, {human(rest.bytes)}B, {age(rest.written)} old, {by}"
    if found.checkpoints:
        yield ""
        yield from _meaning(run, found)


def _row(one: Listed, found: Inventory) -> list[str]:
    words = [
        "damaged" if one.damage else "whole",
        *(["newest"] if one.step == found.newest_whole else []),
        *(["best"] if one.step == found.best else []),
        *(["milestone"] if one.is_milestone else []),
    ]
    tokens = human(one.tokens) if one.tokens is not None else NONE
    values = [one.loss, one.validation_loss, *([] if found.best_by == LOSS else [one.metric])]
    numbers = [_measured(value, one.step) for value in values]
    size = f"{human(one.bytes)}B"
    layout = layout_words(one.layout) or NONE
    return [str(one.step), tokens, *numbers, size, age(one.written), layout, ", ".join(words)]


def _measured(value: Measured | None, step: int) -> str:
    if value is None:
        return NONE
    return f"{value.value:.4f}" + ("" if value.step == step else f" (at {value.step})")


def age(written: str) -> str:
    """How long ago a time in the form of ISO 8601 was."""
    return duration(seconds_since(written) or 0.0)


def layout_words(layout: Mapping[str, Any]) -> str:
    """How the ranks shared the work, as far as it is known."""
    words = []
    if isinstance(world := layout.get("world"), int):
        words.append(counted(world, "rank"))
    if isinstance(stages := layout.get("pipeline_stages"), int) and stages > 1:
        words.append(f"{stages} stages")
    for axis in ("sequence", "tensor"):
        if isinstance(ranks := layout.get(f"{axis}_parallel"), int) and ranks > 1:
            words.append(counted(ranks, f"{axis} rank"))
    if "zero_stage" in layout:
        words.append(f"ZeRO-{layout['zero_stage']}")
    if "precision" in layout:
        words.append(str(layout["precision"]))
    return ", ".join(words)


def _problems(found: Inventory) -> Iterator[str]:
    problems = [problem for one in found.checkpoints for problem in one.damage]
    if problems:
        yield ""
        yield from (f"damaged: {problem}" for problem in problems)


def _meaning(run: Path, found: Inventory) -> Iterator[str]:
    if found.newest_whole is None:
        yield "none is whole: the run cannot go on"
    else:
        yield f"the run goes on from step {found.newest_whole:,}"
    if found.keep is not None:
        every = f", and each multiple of {found.keep_every}" if found.keep_every else ""
        yield f"the run itself keeps the newest {found.keep}{every}"
    name = shlex.quote(run.as_posix())
    yield "whole or damaged goes by the sizes of files; next:"
    yield f"  dslm checkpoint verify {name}    compares every byte"
    if not found.in_use:  # else it prunes by itself
        yield f"  dslm checkpoint prune {name} --keep 1 --dry-run    says what may go"


def list_record(run: Path, found: Inventory) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "run": str(run),
        **asdict(found),
        "checkpoints": [
            {**asdict(one), "path": str(one.path), "damage": _texts(one.damage)}
            for one in found.checkpoints
        ],
        "unfinished": [{**asdict(one), "path": str(one.path)} for one in found.unfinished],
    }


def _texts(problems: Sequence[Problem]) -> list[str]:
    return [str(problem) for problem in problems]


@dataclass(frozen=True)
class Verdict:
    """What comparing every byte of a checkpoint found."""

    step: int
    path: Path
    bytes: int
    problems: Sequence[Problem]


def verify_screen(
    verdicts: Sequence[Verdict], newest_whole: int | None, newest: int, again: str, in_use: bool
) -> Iterator[str]:
    """Whether checkpoints are whole, and what to do next.

    Args:
        verdicts: on those that were compared.
        newest_whole: the step from which the run would go on.
        newest: that of the newest checkpoint.
        again: the command that goes on with the run; empty where it is not known.
        in_use: whether a run is writing there now.
    """
    for one in verdicts:
        word = "damaged" if one.problems else "whole"
        yield f"step {one.step:,}: {word}, {human(one.bytes)}B"
        yield from (f"  {problem}" for problem in one.problems)
    yield ""
    if newest_whole is None:
        yield "no whole checkpoint is left: choose another run=, or remove the folder to start over"
        return
    lost = f", and makes the steps to {newest:,} again" if newest_whole < newest else ""
    compared = newest_whole in [one.step for one in verdicts]
    seen = "" if compared else " (whole as far as the sizes of its files tell)"
    yield f"the run goes on from step {newest_whole:,}{seen}{lost}"
    if in_use:
        yield "it is in use now: another process is training it"
    elif again and any(one.problems for one in verdicts):
        yield "the same command does it, and writes over what is damaged:"
        yield f"  {again}"


def verify_record(
    run: Path, verdicts: Sequence[Verdict], newest_whole: int | None, again: str
) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "run": str(run),
        "checkpoints": [
            {
                **asdict(one),
                "path": str(one.path),
                "whole": not one.problems,
                "problems": _texts(one.problems),
            }
            for one in verdicts
        ],
        "newest_whole": newest_whole,
        "command": again or None,
    }


def prune_screen(pruning: Pruning, dry_run: bool) -> Iterator[str]:
    """What goes, what stays and how much room that makes."""
    verb = "would go" if dry_run else "removed"
    for one in pruning.goes:
        yield f"{verb:<10}{one.path}: {one.reason}, {human(one.bytes)}B"
    for step in pruning.stays:
        words = [
            *(["newest whole, every byte compared"] if step == pruning.newest_whole else []),
            *(["best"] if step == pruning.best else []),
            *(["milestone"] if step in pruning.milestones else []),
            *(["damaged, and not older than those kept"] if step in pruning.damaged else []),
        ]
        yield f"{'stays':<10}step {step:,}" + (f" ({', '.join(words)})" if words else "")
    done = "would be freed" if dry_run else "freed"
    yield f"{human(pruning.bytes)}B {done}" if pruning.goes else "nothing to remove"
