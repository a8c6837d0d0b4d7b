"""The folder beside the output in which a shard set grows: what is done stays done.

It holds the plan, one record for each finished unit of each stage, and the files these name. A
record is written last and carries the hashes of its files, so whoever finds it knows that the unit
is done and can prove it. Any number of processes, on any hosts that share the folder, may work in
it at once: a lock keeps two from taking one unit, and where locks do not work, two that take the
same unit write the same bytes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from dslm.config.parse import STRICT
from dslm.data import record
from dslm.data.manifest import Input, Shard
from dslm.data.tally import Tally
from dslm.errors import DataError, Problem
from dslm.files import file_sha256, read_json, write_json

PLAN = "plan.json"


@settings(config=STRICT, frozen=True)
class Done:
    """The record of a finished unit."""

    files: dict[str, str] = Field(default_factory=dict)
    """What it made, by name within the work folder, with its sha256."""
    tally: Tally = Field(default_factory=Tally)
    """What it counted."""
    inputs: tuple[Input, ...] = ()
    """The inputs whose beginning it read."""
    shards: tuple[Shard, ...] = ()
    """The shards it wrote, under their names within the work folder."""


@dataclass(frozen=True)
class WorkFolder:
    """The place of a shard set that is being made."""

    path: Path

    @classmethod
    def beside(cls, output: Path) -> WorkFolder:
        """The work folder of an output folder."""
        return cls(output.absolute().parent / f".{output.name}.partial")

    def begin(self, plan: Mapping[str, Any]) -> int:
        """Make the folder, or find it as another process or an earlier run left it.

        Returns:
            When that was, in nanoseconds by the clock of the folder's file system; see `kept`.

        Raises:
            DataError: it belongs to a run with other inputs or other settings.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for name in ("records", "locks", "files"):
            (self.path / name).mkdir(exist_ok=True)
        if not (self.path / PLAN).exists():
            write_json(self.path / PLAN, plan)
        if read_json(self.path / PLAN) != plan:
            rule = "holds unfinished work on inputs that have changed since, or with other settings"
            fix = "repeat its command, remove it, or choose another --output"
            raise DataError(Problem(str(self.path), None, rule, fix))
        clock = self.path / "locks" / "clock"
        clock.touch()
        return clock.stat().st_mtime_ns

    def file(self, name: str) -> Path:
        """Where a unit puts a file."""
        return self.path / "files" / name

    def done(self, stage: str, number: int) -> Done | None:
        """The record of a unit, if it is finished."""
        path = self._record(stage, number)
        return record.load(Done, path, "work folder", "shard") if path.exists() else None

    def finish(self, stage: str, number: int, done: Done) -> None:
        """Write the record of a unit, which makes it finished."""
        record.save(done, self._record(stage, number))

    def kept(self, stage: str, number: int, since: int) -> bool:
        """Whether a unit is finished and its files are what they were.

        A record from before `since` is proved by the hashes of its files and then made new, so
        that of all the processes that began since only one proves it, and none trusts it before.
        """
        done, record = self.done(stage, number), self._record(stage, number)
        if done is None:
            return False
        if record.stat().st_mtime_ns < since:
            if not self._whole(done):
                return False
            record.touch()
        return True

    def hashed(self, *names: str) -> dict[str, str]:
        """Files of a unit with their hashes, as `Done.files` wants them."""
        return {name: file_sha256(self.file(name)) for name in names}

    @contextmanager
    def lock(self, stage: str, number: int) -> Iterator[bool]:
        """Take a unit; gives whether it was free. A process that dies lets go of what it took."""
        try:
            handle = os.open(self.path / "locks" / _name(stage, number), os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # another process has published the set meanwhile
            yield False
            return
        try:
            yield _locked(handle)
        finally:
            os.close(handle)

    def units_done(self) -> int:
        """Units of all stages that are finished."""
        return len(list((self.path / "records").glob("*.json")))

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _whole(self, done: Done) -> bool:
        paths = {self.file(name): digest for name, digest in done.files.items()}
        return all(path.is_file() and file_sha256(path) == paths[path] for path in paths)

    def _record(self, stage: str, number: int) -> Path:
        return self.path / "records" / f"{_name(stage, number)}.json"


def _name(stage: str, number: int) -> str:
    return f"{stage}-{number:05d}"


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: work may be done twice, never wrongly
        return True
    return True
