"""Steps that are left out: what is to be done about bad ones, and the record of those there were.

``skipped.jsonl`` in the run's folder holds a line for each: the step, the samples that it read, and
why nothing was learned from them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as validated

from dslm.config.parse import STRICT
from dslm.files.whole import write_text


@validated(config=STRICT, frozen=True, kw_only=True)
class BadStepsConfig:
    """What is done when the numbers of a step have gone bad."""

    skip: Annotated[int, Field(ge=0)] = 3
    """How many steps in a row may be left out, their samples written to skipped.jsonl, because the
    loss or the gradient of one is not finite; one more ends the run, and 0 ends it at the first."""


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


class SkippedSteps:
    """The file ``skipped.jsonl`` of a run that goes on.

    Args:
        path: where it is; lines of steps after `step`, which will be made again, are removed.
        step: the step from which the run goes on.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        found = read_skipped(path)
        kept = [one for one in found if one.step <= step]
        if kept != found:
            write_text(path, "".join(map(_line, kept)))
        self.count = len(kept)

    def add(self, skipped: SkippedSamples) -> None:
        """Write one down."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(skipped))
        self.count += 1


def read_skipped(path: Path) -> list[SkippedSamples]:
    """All that is written down; the last line of a killed run may be cut."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [found for line in lines if (found := _parsed(line)) is not None]


def _parsed(line: str) -> SkippedSamples | None:
    try:
        return SkippedSamples(**json.loads(line))
    except (TypeError, ValueError):
        return None


def _line(skipped: SkippedSamples) -> str:
    return json.dumps(asdict(skipped)) + "\n"
