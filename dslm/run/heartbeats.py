"""The ranks' signs of life, in files of the run's folder: who is where, and who does not answer.

Each rank overwrites a file of its own every few seconds, in place and in one piece: whoever opens a
file of a network file system sees what was written before, whereas the names in a folder may be
half a minute old there.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dslm.run.process import Process

SIZE = 1024
"""Bytes of a file; what is written never changes its length."""

ENDED = "ended"
"""The phase of a rank that has left in good order."""


@dataclass(frozen=True)
class Heartbeat:
    """What one rank is doing."""

    rank: int
    process: Process
    phase: str = "starting"
    step: int = 0
    samples: tuple[int, int] | None = None
    beats: int = 0
    """Pieces of work done so far; all ranks do about the same ones."""
    silent: float = 0.0
    """Seconds since the last of them."""
    waiting: bool = False
    """Whether it waits for other ranks."""
    stalled: bool = False
    """Whether it has found, or heard, that the run makes no progress."""
    log: int = 0
    """Bytes that its log had when it began."""
    number: int = 0
    """Differs from one heartbeat to the next."""


class Heartbeats:
    """The heartbeats of all ranks of a run.

    Args:
        folder: of these files, within that of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = folder / "token"
        self.call = folder / "stall"
        self._seen: dict[int, tuple[int, float]] = {}

    def begin(self) -> str:
        """Remove what an earlier run left, and return the token that marks this one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in self.folder.glob("rank-*.json"):
            file.unlink()
        self.call.write_bytes(b"-")
        token = secrets.token_hex(16)
        self.token.write_text(token)
        return token

    def has_token(self, token: str, seconds: float) -> bool:
        """Whether the folder is that where `begin` returned the token, looking for some seconds."""
        end = time.monotonic() + seconds
        while True:
            try:
                if self.token.read_text() == token:
                    return True
            except OSError:
                pass
            if time.monotonic() > end:
                return False
            time.sleep(0.1)

    def write(self, heartbeat: Heartbeat) -> None:
        """Overwrite a rank's heartbeat; on a full disk it stays as it was."""
        text = json.dumps(asdict(heartbeat)).encode()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = os.open(self._file(heartbeat.rank), os.O_CREAT | os.O_WRONLY, 0o666)
        except OSError:
            return
        try:
            os.pwrite(file, text.ljust(SIZE), 0)
        except OSError:
            pass
        finally:
            os.close(file)

    def read(self, ranks: Iterable[int]) -> list[Heartbeat]:
        """The heartbeats of those ranks that have written one."""
        found = (self._read(rank) for rank in ranks)
        return [heartbeat for heartbeat in found if heartbeat is not None]

    def unchanged(self, heartbeat: Heartbeat) -> float:
        """Seconds in which this reader has seen no other heartbeat of that rank."""
        now = time.monotonic()
        number, since = self._seen.get(heartbeat.rank, (-1, now))
        if number != heartbeat.number:
            since = now
        self._seen[heartbeat.rank] = heartbeat.number, since
        return now - since

    def call_all(self) -> None:
        """Ask all ranks to write down where they are."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self.call, os.O_CREAT | os.O_WRONLY, 0o666)
        os.pwrite(file, b"!", 0)
        os.close(file)

    @property
    def called(self) -> bool:
        """Whether some rank has asked for that."""
        try:
            return self.call.read_bytes() == b"!"
        except OSError:
            return False

    def _file(self, rank: int) -> Path:
        return self.folder / f"rank-{rank}.json"

    def _read(self, rank: int) -> Heartbeat | None:
        try:
            text = self._file(rank).read_bytes()
            return TypeAdapter(Heartbeat).validate_json(text)
        except (OSError, ValidationError):
            return None


def late(heartbeats: Iterable[Heartbeat]) -> list[Heartbeat]:
    """Of ranks that make no progress together, those that the others wait for.

    A rank whose process has ended is late, else one that does not answer. Where all answer, it is
    one that does not wait for others itself, and of these one that has come least far.
    """
    every = list(heartbeats)
    ended = [one for one in every if one.process.has_ended]
    mute = [one for one in every if not one.stalled]
    if ended or mute:
        return ended or mute
    busy = [one for one in every if not one.waiting] or every
    least = min(((one.step, one.beats) for one in busy), default=(0, 0))
    return [one for one in busy if (one.step, one.beats) == least]
