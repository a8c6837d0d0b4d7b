"""Notices that a run makes no progress, names the rank it waits for, and ends it.

A thread on every rank knows what the rank is doing and when the last piece of work was done, and
writes that into the run's folder every few seconds (`dslm.run.heartbeats`). When nothing was done
for too long, every rank writes down its stacks in ``stalls``; a rank that does not, as it has been
stopped or its host is gone, is the late one, else the one that does not wait for others itself.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dslm.environment import World
from dslm.progress import duration
from dslm.run.failure import Failure, read_failure
from dslm.run.folder import RunFolder
from dslm.run.heartbeats import ENDED, Heartbeat, late
from dslm.run.process import Process
from dslm.train.activity import LONG, Activity, doing
from dslm.train.output import UserStream

MUTE = 60.0
"""Seconds without a heartbeat after which a rank is lost, if the others wait for it; or more, where
the setting is."""
DEAD = 10.0
"""Seconds that a rank waits for one whose process has ended, before it says so."""
WARNED = 30.0
"""Seconds without progress after which a rank that gives no sign of life is named in a warning…"""
QUIET = 15.0
"""… if it has given none for so long."""
HOSTS = 8
"""Hosts whose first ranks look at all others; the rest look at their own host."""
ANSWER = 10
"""Looks that this thread takes at the others, before those who do not answer count as late."""
PUBLISHED = 20.0
"""Seconds between two heartbeats in ``run.json``."""
FREEZE = 120.0
"""Seconds without this thread, above those granted, after which the process ends from outside
Python: some library holds the interpreter, or the file system of the folder is gone."""


class Watchdog(Activity):
    """Watches this rank, and with it the others.

    Args:
        folder: of the run.
        world: this rank among the others.
        stall_minutes: the setting.
        messages: the user's standard error.
        publish: called with each heartbeat that belongs into ``run.json``.
        failed: called with what ended the run, just before this process ends.
    """

    def __init__(
        self,
        folder: RunFolder,
        world: World,
        stall_minutes: float | None,
        messages: UserStream,
        publish: Callable[[Heartbeat], None] = lambda _: None,
        failed: Callable[[Failure], None] = lambda _: None,
    ) -> None:
        self.folder, self.world, self.messages = folder, world, messages
        self.publish, self.failed = publish, failed
        self.tick = 2.0 if stall_minutes is None else min(2.0, max(0.1, 6 * stall_minutes))
        self.every = max(self.tick, world.size / 100)
        log = folder.log(world.rank)
        size = log.stat().st_size if log.exists() else 0
        super().__init__(Heartbeat(world.rank, Process.this(), log=size), stall_minutes)
        self.written, self.published, self._phase = 0.0, 0.0, ""
        self._main, self._over = threading.main_thread().ident, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._writing = threading.Lock()
        self._leaving = self._warned = self._stalled = False
        self._mute = max(MUTE, 6 * self.every, 60 * (stall_minutes or 0))
        near = world.rank // world.local_size < HOSTS
        self._sees_all = world.local_rank == 0 and near

    def start(self) -> None:
        """Begin to watch."""
        self._emergency = self.folder.log(self.world.rank).open("a")
        self._sign_of_life()
        self._thread.start()

    def stop(self) -> None:
        """This rank has ended in good order."""
        self._over.set()
        faulthandler.cancel_dump_traceback_later()
        self.enter(ENDED)
        self._write()

    def leave(self, seconds: float) -> None:
        """This rank has failed: its process ends in so many seconds, whatever keeps it."""
        self._leaving = True
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._emergency)

    def _watch(self) -> None:
        while not self._over.wait(self.tick):
            self._sign_of_life()
            if self.world.is_main:
                self._show()
            if self._leaving:
                continue
            seconds = max(self.granted, self._mute) + FREEZE
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._emergency)
            if self.folder.heartbeats.called or self.silent > self.granted or self._lost():
                self._stall()

    def _sign_of_life(self) -> None:
        now = time.monotonic()
        if now - self.written >= self.every:
            self.written = now
            self._write()
        phase = self.now.phase
        if now - self.published >= PUBLISHED or phase != self._phase:
            self.published, self._phase = now, phase
            self.publish(self.now)

    def _show(self) -> None:
        """Show what this rank is doing, if that takes long."""
        if self.now.phase != "training":
            self.messages.alive(doing(self.now, time.monotonic() - self.entered))
        elif self.silent > LONG and self.messages.isatty():  # else each step shows itself
            self.messages.alive(doing(self.now, self.silent))

    def _write(self) -> None:
        with self._writing:
            self.folder.heartbeats.write(self._heartbeat())

    def _heartbeat(self) -> Heartbeat:
        return replace(
            self.now,
            silent=self.silent,
            waiting=is_waiting(self._main),
            stalled=self._stalled,
            number=time.monotonic_ns(),
        )

    def watched(self) -> list[Heartbeat]:
        """The others that this rank looks at, as far as they have not left in good order."""
        world = self.world
        first = world.rank - world.local_rank
        near = range(first, min(world.size, first + world.local_size))
        ranks = range(world.size) if self._sees_all else near
        found = self.folder.heartbeats.read(rank for rank in ranks if rank != world.rank)
        return [one for one in found if one.phase != ENDED]

    def _lost(self) -> bool:
        """Whether this rank waits for one that gives no sign of life."""
        if self.silent < DEAD or self.world.size == 1 or self.world.local_rank > 0:
            return False
        others = self.watched()
        if any(one.process.has_ended for one in others):
            return True
        quiet = {one.rank: self.folder.heartbeats.unchanged(one) for one in others}
        if self.silent > WARNED and not self._warned:
            self._warn([one for one in others if quiet[one.rank] > max(QUIET, 3 * self.every)])
        return self.silent > self._mute and max(quiet.values(), default=0.0) > self._mute

    def _warn(self, mute: list[Heartbeat]) -> None:
        """Name ranks that give no sign of life, once, on the first rank that does."""
        first = next(rank for rank in range(self.world.size) if rank not in {m.rank for m in mute})
        if mute and first == self.world.rank:
            names = ", ".join(f"rank {one.rank} on host {one.process.host}" for one in mute)
            self._warned = True
            self.messages.lines(
                f"warning: no progress for {duration(self.silent)} at step {self.now.step:,} "
                f"({self.now.phase}): no sign of life of {names}"
            )

    def _stall(self) -> None:
        """Write down where this rank is, find out who is late, and end the process."""
        silent = self.silent
        self._stalled = True
        self._write()
        self.folder.heartbeats.call_all()
        self._dump()
        end = time.monotonic() + ANSWER * self.tick
        found = self._found(silent, end)
        if found.record(self.folder.failure):
            self.messages.lines(f"error: {found.line(self.folder.failure)}")
        failure = read_failure(self.folder.failure) or found
        if not self._leaving:
            self.failed(failure)
        self._end_the_late(end)
        os._exit(failure.code)

    def _dump(self) -> None:
        self.folder.stalls.mkdir(parents=True, exist_ok=True)
        with (self.folder.stalls / f"rank-{self.world.rank}.txt").open("w") as file:
            now = self.now
            file.write(
                f"rank {now.rank} on host {now.process.host}, process {now.process.pid}\n"
                f"phase {now.phase}, step {now.step}, samples {now.samples}\n"
                f"last progress {duration(self.silent)} ago\n\n"
            )
            file.flush()
            faulthandler.dump_traceback(file)

    def _found(self, silent: float, end: float) -> Failure:
        """Wait until all ranks have written down where they are, or some do not, and judge.

        Those that see all ranks do so; the others only where nobody else has.
        """
        end += 0 if self._sees_all else ANSWER * self.tick
        while time.monotonic() < end and not self.folder.failure.exists():
            ranks = [self._heartbeat(), *self.watched()] if self._sees_all else []
            if ranks and all(one.stalled or one.process.has_ended for one in ranks):
                break
            time.sleep(self.tick / 2)
        self._sees_all = True
        return self._failure(late([self._heartbeat(), *self.watched()]), silent)

    def _failure(self, ranks: list[Heartbeat], silent: float) -> Failure:
        first, *more = ranks or [self.now]
        where, trace = first if first.stalled else self.now, ""  # it was where this rank waits
        if first.process.has_ended:
            what = "killed, or out of memory"
        elif not first.stalled:
            what = "it does not answer: stopped, or its host or network is gone"
        else:
            file = self.folder.stalls / f"rank-{first.rank}.txt"
            trace = file.read_text(errors="replace") if file.exists() else ""
            what = f"its stacks are in {file}"
        others = ", ".join(f"rank {one.rank} on host {one.process.host}" for one in more)
        how = "killed" if first.process.has_ended else "stalled"
        message = f"no progress for {duration(silent)}; {what}"
        message += f"; likewise {others}" if more else ""
        return Failure.of(first, where, how, message, trace, found_by=self.world.rank)

    def _end_the_late(self, end: float) -> None:
        """Kill those of this host that do not answer: no launcher's SIGTERM would reach them."""
        while True:
            mute = [one for one in self.watched() if not one.stalled]
            mute = [one for one in mute if one.process.is_local and not one.process.has_ended]
            if time.monotonic() > end or not mute:
                break
            time.sleep(self.tick / 2)
        for one in mute:
            one.process.kill()


def is_waiting(thread: int | None) -> bool:
    """Whether a thread is within a call that waits for other ranks."""
    frame: Any = sys._current_frames().get(thread or 0)
    name = frame.f_code.co_filename if frame else ""
    return "/torch/distributed/" in name or "/deepspeed/comm/" in name
