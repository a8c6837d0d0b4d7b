"""The shares in which the sources of a run have been read, and how they may change at a resume.

A list of phases is kept with every checkpoint and in ``run.json``: from which sample on, and the
weight of each source. The order of samples follows from it, so a run whose shares have changed
resumes exactly, and no source repeats a row or leaves one out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dslm.sampling.order import Phase

KEY = "mixture"
"""Where the phases are in ``state.json`` of a checkpoint, and in the record of the data."""
SHIFTED = "shifted"
"""Where these say whether windows begin elsewhere in each epoch; a run begun by a version of dslm
that knew nothing of it goes on as it began."""


def first_phase(weights: Sequence[float] | None, sources: int) -> tuple[Phase, ...]:
    """The phases of a run that begins; none where each row is read once an epoch.

    Args:
        weights: of the sources, if they have any.
        sources: how many they are; the rows of a single one have the weight 1.
    """
    if weights is None and sources > 1:
        return ()
    return (Phase(0, tuple(weights or (1.0,))),)


def phases_from(
    state: Mapping[str, Any], weights: Sequence[float] | None, sources: int
) -> tuple[Phase, ...]:
    """The phases of a run that goes on, the last of them with the weights it has now.

    Args:
        state: ``state.json`` of the checkpoint.
        weights: of the sources, which are those of the checkpoint and perhaps more.
        sources: how many they are.
    """
    now = first_phase(weights, sources)
    kept = read_phases(state, sources)
    if not kept or not now:
        return now
    if same_shares(kept[-1].weights, now[0].weights):
        return kept
    samples = int(state["samples"])
    return (*(phase for phase in kept if phase.first < samples), Phase(samples, now[0].weights))


def read_phases(record: Mapping[str, Any], sources: int) -> tuple[Phase, ...]:
    """The phases that were written down; a source added later had no share in them."""
    return tuple(
        Phase(int(one["sample"]), tuple(one["weights"]) + (0.0,) * (sources - len(one["weights"])))
        for one in record.get(KEY, [])
    )


def write_phases(phases: Sequence[Phase]) -> dict[str, Any]:
    """What `read_phases` reads; nothing where there are none."""
    written = [{"sample": phase.first, "weights": list(phase.weights)} for phase in phases]
    return {KEY: written} if written else {}


def same_shares(some: Sequence[float], others: Sequence[float]) -> bool:
    """Whether weights, each in a unit of its own, give the same shares."""
    shares = [[weight / math.fsum(weights) for weight in weights] for weights in (some, others)]
    return len(some) == len(others) and all(map(math.isclose, *shares))
