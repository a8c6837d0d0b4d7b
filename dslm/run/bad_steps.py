"""Steps that are left out: what is to be done about bad ones, and the record of those there were.

``skipped.jsonl`` in the run's folder holds a line for each: the step, the samples that it read, and
why nothing was learned from them. A line of a rewind names the samples that are passed over from
then on, whatever checkpoint the run goes on from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as validated

from dslm.config.parse import STRICT
from dslm.files.whole import write_text


@validated(config=STRICT, frozen=True, kw_only=True)
class BadStepsConfig:
    """What is done when the numbers of a step have gone bad."""

    skip: Annotated[int, Field(ge=0)] = 3
    """How many steps in a row may be left out, their samples written to skipped.jsonl, because the
    loss or the gradient of one is not finite, or its loss a spike that is skipped; one more ends
    the run, and 0 ends it at the first."""
    spike: Literal["ignore", "skip", "rewind"] = "ignore"
    """What is done about a loss far above those before. skip: the step is left out. rewind: the run
    goes back to its newest checkpoint and passes over the samples since."""
    deviations: Annotated[float, Field(gt=0)] = 6.0
    """A loss is a spike when it is more than so many standard deviations above the mean of the
    last `window` steps."""
    window: Annotated[int, Field(ge=2)] = 100
    """Steps since the start whose losses are known before one can be a spike."""
    pass_over: Annotated[int, Field(ge=1)] | None = None
    """How many samples, those of the spike the last of them, a rewind passes over at most; the ones
    before are read again. null = all since the checkpoint."""
    rewinds: Annotated[int, Field(ge=1)] = 3
    """How often a run may rewind; one more spike ends it."""


@dataclass(frozen=True)
class SkippedSamples:
    """Some samples from which nothing was learned."""

    step: int
    """The step that read them, from 1."""
    first_sample: int
    """The number of the first in the order of training."""
    samples: int
    """How many they are."""
    reason: str
    rewound_to: int | None = None
    """The step of the checkpoint that the run went back to, to pass over them."""


@dataclass(frozen=True)
class Gaps:
    """Samples of the order that are passed over."""

    ranges: tuple[range, ...] = ()
    """In order, and apart from each other."""

    def __or__(self, more: range) -> Gaps:
        """These and some more."""
        apart = [gap for gap in self.ranges if gap.stop < more.start or gap.start > more.stop]
        touched = [more, *(gap for gap in self.ranges if gap not in apart)]
        whole = range(min(gap.start for gap in touched), max(gap.stop for gap in touched))
        return Gaps(tuple(sorted((*apart, whole), key=lambda gap: gap.start)))

    def next(self, sample: int, batch: int) -> int:
        """The first sample of the step that would begin at one, all of whose samples are read."""
        for gap in self.ranges:
            if sample < gap.stop and sample + batch > gap.start:
                sample = gap.stop
        return sample

    def without(self, sample: int) -> int:
        """How many of the samples before one are not passed over."""
        return sample - sum(len(gap) for gap in self.ranges if gap.stop <= sample)

    def sample(self, number: int) -> int:
        """The sample before which so many are not passed over; undoes `without`."""
        for gap in self.ranges:
            number += len(gap) if number >= gap.start else 0
        return number


class SkippedSteps:
    """The file ``skipped.jsonl`` of a run that goes on.

    Args:
        path: where it is.
        step: the step from which the run goes on.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.forget_after(step)

    def forget_after(self, step: int) -> None:
        """Remove the lines of later steps, which will be made again, but those of rewinds."""
        found = read_skipped(self.path)
        kept = [one for one in found if one.step <= step or one.rewound_to is not None]
        if kept != found:
            write_text(self.path, "".join(map(_line, kept)))
        self.lines = kept

    def add(self, skipped: SkippedSamples) -> None:
        """Write one down, with all before it: the file may have been removed."""
        self.lines.append(skipped)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, "".join(map(_line, self.lines)))


def read_skipped(path: Path) -> list[SkippedSamples]:
    """All that is written down; the last line of a killed run may be cut."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [found for line in lines if (found := _parsed(line)) is not None]


def gaps_of(lines: Iterable[SkippedSamples]) -> Gaps:
    """The samples that rewinds have passed over."""
    rewinds = (one for one in lines if one.rewound_to is not None)
    ranges = (range(one.first_sample, one.first_sample + one.samples) for one in rewinds)
    return reduce(Gaps.__or__, ranges, Gaps())


def _parsed(line: str) -> SkippedSamples | None:
    try:
        return SkippedSamples(**json.loads(line))
    except (TypeError, ValueError):
        return None


def _line(skipped: SkippedSamples) -> str:
    return json.dumps(asdict(skipped)) + "\n"
