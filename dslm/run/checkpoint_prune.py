"""Which checkpoints of a run may go, and their removal; only under the lock of the run.

A checkpoint counts as one of the newest only if it is whole, and the newest of them only after
every byte of it was compared: what stays must be what the run can go on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dslm.errors import CheckpointError, Problem
from dslm.progress import Advance
from dslm.run.checkpoint import (
    checkpoints,
    kept,
    newest_good,
    remove,
    remove_unfinished,
    unfinished,
    verify,
    verify_sizes,
)
from dslm.run.checkpoint_list import damage, folder_bytes


@dataclass(frozen=True)
class Doomed:
    """A folder that goes."""

    path: Path
    bytes: int
    reason: str


@dataclass(frozen=True)
class Pruning:
    """What goes and what stays."""

    goes: Sequence[Doomed]
    stays: Sequence[int]
    """The steps of the checkpoints that stay, the newest first."""
    newest_whole: int | None
    """The one whose every byte was compared; `None` where there are no checkpoints."""
    damaged: Sequence[int]
    """Those among `stays` that are damaged, or of a format that this version does not know."""
    milestones: Sequence[int]
    """Those that stay only because `keep_every` divides their step."""
    best: int | None = None
    """The one among `stays` with the lowest validation loss."""

    @property
    def bytes(self) -> int:
        """The size of all that goes."""
        return sum(one.bytes for one in self.goes)


def plan_pruning(
    root: Path,
    keep: int,
    keep_every: int | None,
    best: int | None = None,
    advance: Advance | None = None,
) -> Pruning:
    """Decide what goes.

    Args:
        root: the run's folder of checkpoints.
        keep: how many of the newest whole ones stay.
        keep_every: whole ones of every multiple of this step stay too.
        best: the one of this step stays too, if it is whole.
        advance: called with the number of bytes compared.

    Raises:
        CheckpointError: there are checkpoints, but none is whole, so that none may go.
    """
    found = dict(checkpoints(root))
    newest, problems = newest_good(
        root, lambda path: damage(path, lambda one: verify(one, advance))
    )
    if found and newest is None:
        rule = "no whole checkpoint is left, so nothing is removed"
        raise CheckpointError(*problems, Problem(str(root), None, rule))
    goes = [Doomed(path, folder_bytes(path), "left unfinished") for path in unfinished(root)]
    if newest is None:
        return Pruning(goes, [], None, [], [])
    # What is newer than the newest whole one has proved to be damaged.
    whole = {step for step in found if step <= newest and not damage(found[step])}
    best, newest_ones = best if best in whole else None, sorted(whole)[-max(keep, 1) :]
    milestones = sorted(kept(whole, keep, keep_every).difference(newest_ones))
    stay = kept(whole, keep, keep_every, best)
    damaged = {
        step
        for step in found.keys() - whole
        if step > newest_ones[0] or _is_of_another_version(found[step])
    }
    goes += [
        Doomed(path, folder_bytes(path), "older" if step in whole else "damaged, and older")
        for step, path in found.items()
        if step not in stay | damaged
    ]
    stays = sorted(stay | damaged, reverse=True)
    return Pruning(goes, stays, newest, sorted(damaged), milestones, best)


def _is_of_another_version(checkpoint: Path) -> bool:
    """Whether a checkpoint has a format that cannot be judged here."""
    try:
        verify_sizes(checkpoint)
    except CheckpointError:
        return True
    except OSError:
        return False
    return False


def carry_out(root: Path, pruning: Pruning) -> list[Problem]:
    """Remove what goes, and say what could not be removed."""
    problems = []
    for one in pruning.goes:
        if not one.path.name.startswith("."):
            try:
                remove(one.path)
            except OSError as error:
                rule = f"could not be removed: {error.strerror}"
                problems.append(Problem(str(one.path), None, rule))
    remove_unfinished(root)
    left = [Problem(str(path), None, "could not be removed") for path in unfinished(root)]
    return problems + left
