"""``failure.json``: which rank of a run failed first, where and why; written once.

A rank that fails writes it before it ends. The others, whose connections break then, find it there;
of a rank that was killed they write it themselves.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dslm.run.heartbeats import Heartbeat

FORMAT = 1
"""Version of ``failure.json``."""
VERBS = {"stalled": "is late", "killed": "ended without a word", "ended at once": "ended at once"}
"""What happened to a rank that raised no exception, by what stands in its place."""
ALIKE = ("TrainingError",)
"""Exceptions that all ranks raise for the same reason, so that none of them is to be named…"""
OURS = ("RankError", "PeerError")
"""… and others whose message says all but that."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What ended a run."""

    rank: int
    host: str
    phase: str
    """What the rank was doing, see `dslm.train.activity`."""
    step: int
    """The optimizer step it was at, from 1; 0 before the first."""
    samples: tuple[int, int] | None
    """First and last number of that step's rows in the order of training."""
    exception: str
    """The type of the exception; one of `VERBS` where there was none."""
    message: str
    traceback: str = ""
    code: int = 1
    """The exit code of all ranks."""
    found_by: int | None = None
    """The rank that wrote this, when it is another."""
    time: str = field(
        default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds")
    )

    @classmethod
    def of(
        cls,
        rank: Heartbeat,
        at: Heartbeat,
        exception: str,
        message: str,
        traceback: str,
        *,
        code: int = 1,
        found_by: int | None = None,
    ) -> Failure:
        """The failure of a rank.

        Args:
            rank: which has failed.
            at: whose phase, step and samples are those of the failure: the rank's own, or those of
                one that waits for it.
            exception: as the other arguments, see the attribute.
            message: the same.
            traceback: the same.
            code: the same.
            found_by: the same.
        """
        return cls(
            rank=rank.rank,
            host=rank.process.host,
            phase=at.phase,
            step=at.step,
            samples=at.samples,
            exception=exception,
            message=message,
            traceback=traceback,
            code=code,
            found_by=found_by,
        )

    def record(self, path: Path) -> bool:
        """Write it, unless another failure is written there already.

        Returns:
            Whether this is the one that is now there.
        """
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(file, "wb") as written:
            written.write((text + "\n").encode("utf-8", "replace"))
        return True

    def sentence(self) -> str:
        """For people, such as ``rank 1 on host a failed at step 18 (training, …): …``."""
        first_line = (self.message.strip().splitlines() or ["no message"])[0]
        if self.exception in ALIKE:
            return first_line
        where = [self.phase]
        if self.samples is not None:
            first, last = self.samples
            where.append(f"samples {first:,}–{last:,}")
        verb = VERBS.get(self.exception)
        name = "" if verb or self.exception in OURS else f"{self.exception}: "
        return (
            f"rank {self.rank} on host {self.host} {verb or 'failed'} at step {self.step:,} "
            f"({', '.join(where)}): {name}{first_line}"
        )

    def line(self, path: Path) -> str:
        """The last line of the screen: `sentence`, and the file where more is."""
        more = "" if self.exception in ALIKE else f"; details in {path}"
        return self.sentence() + more


def read_failure(path: Path) -> Failure | None:
    """The failure in a file; `None` while there is none, or none that can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            return None
        return TypeAdapter(Failure).validate_python(values)
    except (OSError, ValueError, ValidationError):
        return None
