"""The folder beside the output in which a shard set grows: what is done stays done.

It holds the plan, one record for each finished unit of each pass, and the files these name. A
record is written last and carries the hashes of its files, so whoever finds it knows that the unit
is done and can prove it. Any number of processes, on any hosts that share the folder, may work in
it at once: a lock keeps two from taking one unit, and where locks do not work, two that take the
same unit write the same bytes, each under a name of its own that it then renames.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from dslm.config.parse import STRICT
from dslm.files import record
from dslm.files.fingerprint import Input, file_sha256
from dslm.files.whole import read_json, write_json
from dslm.preprocess.work.plan_difference import refuse_other
from dslm.shards.manifest import Shard
from dslm.shards.statistics import ELSEWHERE, Statistics

PLAN = "plan.json"
FORMAT = 3
"""Of the work folder: raised when its files or their names change."""
NOTHING = "nothing"
"""The file that says: all is done, and no shard set comes of it."""

FILES = {
    "sign": ("known",),
    "clean": ("texts", "signatures", "left-out"),
    "match": ("matched",),
    "decide": ("decision", "kept"),
    "repeat": ("repeated",),
    "write": ("shard", "rejected"),
}
"""How the names of the files of a pass begin; the number of the unit follows."""


@settings(config=STRICT, frozen=True)
class SetRecord:
    """What a finished unit put into one of several sets."""

    statistics: Statistics = Field(default_factory=Statistics)
    """What it kept for that set."""
    shards: tuple[Shard, ...] = ()
    """The shards it wrote for it, under their names within the work folder."""


@settings(config=STRICT, frozen=True)
class UnitRecord:
    """The record of a finished unit."""

    files: dict[str, str] = Field(default_factory=dict)
    """What it made, by name within the work folder, with its sha256."""
    statistics: Statistics = Field(default_factory=Statistics)
    """What it counted, what it kept for one of the sets aside."""
    inputs: tuple[Input, ...] = ()
    """The inputs whose beginning it read."""
    sets: dict[str, SetRecord] = Field(default_factory=dict)
    """What it wrote for each set."""

    def of(self, name: str) -> SetRecord:
        """What the unit is to a set: as if the documents of all others had been left out."""
        wanted, statistics = self.sets.get(name, SetRecord()), Statistics()
        others = [other.statistics for key, other in self.sets.items() if key != name]
        elsewhere = sum(other.documents for other in others)
        left_out = Statistics(left_out={ELSEWHERE: elsewhere} if elsewhere else {})
        for part in (self.statistics, wanted.statistics, left_out):
            statistics.add(part)
        return SetRecord(statistics, wanted.shards)


@dataclass(frozen=True)
class WorkFolder:
    """Where a shard set grows while it is made."""

    path: Path

    @classmethod
    def beside(cls, output: Path) -> WorkFolder:
        """The work folder of an output folder."""
        return cls(output.absolute().parent / f".{output.name}.partial")

    @contextmanager
    def joined(self, plan: Mapping[str, Any]) -> Iterator[int]:
        """Make the folder, or find it as others or an earlier run left it, and be at work in it.

        Another plan gives way to this one if nothing was finished and nobody is at work.

        Returns:
            When that was, in nanoseconds by the clock of the folder's file system; see `kept`.

        Raises:
            DataError: it holds unfinished work on another plan.
        """
        for name in ("records", "locks", "files"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        with self._lock_file("presence") as presence:
            with self._lock_file("begin") as begin:
                _locked(begin, fcntl.LOCK_EX)
                self._agree(json.loads(json.dumps(plan)), presence)
                _locked(presence, fcntl.LOCK_SH)
            clock = self.path / "locks" / "clock"
            clock.touch()
            yield clock.stat().st_mtime_ns

    def file(self, name: str) -> Path:
        """Where a unit puts a file."""
        return self.path / "files" / name

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs, as the manifest will name them."""
        path = self.path / PLAN
        return _names(path, path.stat().st_mtime_ns)

    def done(self, pass_name: str, number: int) -> UnitRecord | None:
        """The record of a unit, if it is finished."""
        path = self._record(pass_name, number)
        return record.load(UnitRecord, path, "work folder", "shard") if path.exists() else None

    def finished(self, pass_name: str) -> set[int]:
        """The numbers of the units that are finished."""
        try:
            names = os.listdir(self.path / "records")
        except FileNotFoundError:  # another process has published the set meanwhile
            return set()
        numbers = (name.removesuffix(".json").rpartition("-") for name in names)
        return {int(number) for begin, _, number in numbers if begin == pass_name}

    def finish(self, pass_name: str, number: int, done: UnitRecord) -> None:
        """Write the record of a unit, which makes it finished."""
        record.save(done, self._record(pass_name, number))

    def kept(self, pass_name: str, number: int, since: int) -> bool:
        """Whether a unit is finished and its files are what they were.

        A record from before `since` is proved by the hashes of its files and then made new, so
        that of all the processes that began since only one proves it, and none trusts it before.
        """
        done, record = self.done(pass_name, number), self._record(pass_name, number)
        if done is None:
            return False
        if record.stat().st_mtime_ns < since:
            if not self._whole(done):
                return False
            record.touch()
        return True

    def hashed(self, *names: str) -> dict[str, str]:
        """Files of a unit with their hashes, as `UnitRecord.files` wants them."""
        return {name: file_sha256(self.file(name)) for name in names}

    @contextmanager
    def lock(self, pass_name: str, number: int) -> Iterator[bool]:
        """Take a unit; gives whether it was free. A process that dies lets go of what it took."""
        name = _name(pass_name, number)
        tried = (self.path / "locks" / name).exists()
        try:
            file = self._lock_file(name)
        except FileNotFoundError:  # another process has published the set meanwhile
            yield False
            return
        with file:
            held = _locked(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if held and tried and not self._record(pass_name, number).exists():
                self._remove_strays(pass_name, number)
            yield held is not False

    def came_to_nothing(self) -> None:
        """Let another plan replace this one, all of which is done."""
        (self.path / NOTHING).touch()

    @property
    def begun(self) -> bool:
        """Whether there is work to go on with: some of which a shard set may come."""
        return self.path.exists() and not (self.path / NOTHING).exists()

    def units_done(self) -> int:
        """Finished units of all passes of work to go on with."""
        return len(list((self.path / "records").glob("[!.]*.json"))) if self.begun else 0

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _agree(self, plan: dict[str, Any], presence: IO[bytes]) -> None:
        """See that the folder has this plan."""
        path = self.path / PLAN
        there = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        if there == plan:
            return
        if there is not None:
            if not self._idle(presence):
                raise refuse_other(self.path, there, plan)
            self._clear()
        write_json(path, plan)

    def _idle(self, presence: IO[bytes]) -> bool:
        """Whether nobody is at work here, and nothing is done that is of use."""
        if _locked(presence, fcntl.LOCK_EX | fcntl.LOCK_NB) is not True:
            return False
        for path in (self.path / "locks").glob("*-*"):  # a worker may outlive its parent a little
            with self._lock_file(path.name) as file:
                if not _locked(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    return False
        return not self.units_done()

    def _clear(self) -> None:
        """Remove the work on another plan; killed at any point, what is left is useless too."""
        for name in ("records", "files"):
            shutil.rmtree(self.path / name)
            (self.path / name).mkdir()
        (self.path / NOTHING).unlink(missing_ok=True)

    def _remove_strays(self, pass_name: str, number: int) -> None:
        """Remove what a killed process of this host, where the lock is sure to hold, has begun."""
        host = f".{socket.gethostname()}."
        for begin in FILES.get(pass_name, ()):
            for stray in (self.path / "files").glob(f".{begin}-{number:05d}[-.]*.partial"):
                if host in stray.name:
                    stray.unlink(missing_ok=True)

    def _whole(self, done: UnitRecord) -> bool:
        paths = {self.file(name): digest for name, digest in done.files.items()}
        return all(path.is_file() and file_sha256(path) == paths[path] for path in paths)

    def _record(self, pass_name: str, number: int) -> Path:
        return self.path / "records" / f"{_name(pass_name, number)}.json"

    def _lock_file(self, name: str) -> IO[bytes]:
        return (self.path / "locks" / name).open("ab")


def _name(pass_name: str, number: int) -> str:
    return f"{pass_name}-{number:05d}"


@lru_cache(maxsize=1)
def _names(plan: Path, changed: int) -> tuple[str, ...]:
    return tuple(name for name, _ in read_json(plan)["inputs"])


def _locked(file: IO[bytes], how: int) -> bool | None:
    """Lock an open file; False if another process holds it, `None` where locks do not work."""
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: work may be done twice, never wrongly
        return None
    return True
