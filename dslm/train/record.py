"""The record of a run, ``run.json``: how it was started, what it is made of and how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timezone
from threading import Lock
from typing import Any

from dslm.environment import World
from dslm.errors import UserError
from dslm.files.whole import read_json
from dslm.model.counts import parameter_count
from dslm.run.folder import FORMAT
from dslm.run.heartbeats import Heartbeat
from dslm.run.machine import code_version, device_names
from dslm.run.process import Process
from dslm.run.status import Status
from dslm.run.versions import versions
from dslm.train.last_screen import command
from dslm.train.mixture import SHIFTED, write_phases
from dslm.train.prepare import Job
from dslm.train.word_vectors.embedding import KEY, WordVectors

LAYOUT = (
    *("world", "replicas", "pipeline_stages", "tensor_parallel", "sequence_parallel"),
    "zero_stage",
    *("micro_batch", "accumulation", "batch", "sequence"),
)
"""What a checkpoint keeps of the plan."""
FAILED_SAVES = "failed_saves"
"""The key of the checkpoints that could not be written."""


class RunRecord:
    """The record of one run; the first rank writes it, or the one that finds it gone.

    Args:
        job: what is trained.
        world: this rank among the others.
        words: the arguments of the command.
    """

    def __init__(self, job: Job, world: World, words: Sequence[str]) -> None:
        self.job, self.world, self.words = job, world, words
        self.vectors: WordVectors | None = None
        """The word vectors that the run begins with."""
        self._lock = Lock()
        self.heartbeat: Mapping[str, Any] | None = None
        """When the run was last seen alive, at which step and in which phase."""
        self.status: Status | None = None
        """How the run stands; `None` while nothing has been written."""
        self.ended: str | None = None
        """How it ended, a sentence; `None` while it runs."""
        self.started = self.stopped = _now()
        """When the run began, by its first start, and when it ended."""
        self.failed_saves: list[dict[str, Any]] = []
        """Checkpoints that could not be written: step, time and reason, of earlier starts too."""

    def write(self, status: Status, ended: str | None = None) -> None:
        """Write ``run.json``, whole or not at all.

        Args:
            status: how the run stands.
            ended: how it ended, a sentence; `None` while it runs.
        """
        with self._lock:  # threads write it, too
            self.status, self.ended, self.stopped = status, ended, _now()
            self.job.folder.lock.hold()
            with suppress(UserError):
                self.started = read_json(self.job.folder.record).get("started", self.started)
            self.job.folder.write_record(self.content())

    def content(self) -> dict[str, Any]:
        """What ``run.json`` holds now, or should."""
        state = {"status": self.status, "ended": self.ended, "heartbeat": self.heartbeat}
        stopped = None if self.status == "running" else self.stopped
        dates = {"started": self.started, "stopped": stopped}
        failed = {FAILED_SAVES: self.failed_saves} if self.failed_saves else {}
        return {"format": FORMAT, **state, **dates, **failed, **self._description()}

    def put_back(self) -> None:
        """Write anew what was removed from the folder while the run trains; the first rank only.

        Raises:
            UserError: another run has begun in the folder meanwhile.
            OSError: it cannot be written.
        """
        folder = self.job.folder
        with self._lock:
            folder.lock.hold()
            try:
                read_json(folder.record)
            except UserError:
                folder.write_record(self.content())
            folder.add_tokenizer(self.job.sources.train[0].tokenizer)

    def save_failed(self, step: int, reason: str) -> None:
        """Keep that a checkpoint could not be written, as soon as that itself can be written."""
        failed = {"step": step, "time": _now(), "reason": reason}
        self.failed_saves.append(failed)
        if self.world.is_main:
            with suppress(OSError, UserError):
                self.write("running")

    def layout(self) -> dict[str, Any]:
        """At which layout the run is trained, for its checkpoints."""
        plan = {key: getattr(self.job.plan, key) for key in LAYOUT}
        return {**plan, "precision": self.job.precision, "device": self._device}

    @property
    def _device(self) -> str:
        return "cpu" if self.world.cpu else "cuda"

    def alive(self, now: Heartbeat) -> None:
        """Show that the run is alive and what it is doing; any thread may call it."""
        where = {"host": now.process.host, "pid": now.process.pid}
        self.heartbeat = {"time": _now(), "step": now.step, "phase": now.phase, **where}
        if self.status == "running" and self.world.is_main:
            with suppress(OSError, UserError):  # a full disk
                self.put_back()
                self.job.folder.write_heartbeat(self.heartbeat)

    def _description(self) -> dict[str, Any]:
        """What does not change while the run is trained."""
        plan = self.job.plan
        return {
            "command": [*command(self.world).split(), *self.words],
            "versions": versions(),
            "code": code_version(),
            "machine": {"hosts": self._hosts(), "device": device_names(self.world.cpu)},
            "config": self.job.settings,
            "deepspeed": self.job.deepspeed,
            "plan": {
                **asdict(plan),
                "replicas": plan.replicas,
                "batch": plan.batch,
                "tokens_per_step": plan.tokens_per_step,
                "parameters": parameter_count(self.job.config.model),
                "device": self._device,
            },
            "data": {
                **self.job.sources.record(),
                **write_phases(self.job.phases),
                SHIFTED: self.job.shifted,
            },
            **self._vectors(),
        }

    def _hosts(self) -> list[str]:
        """Those of all ranks that have shown themselves, this one's among them."""
        beats = self.job.folder.heartbeats.read(range(self.world.size))
        return sorted({Process.this().host, *(beat.process.host for beat in beats)})

    def _vectors(self) -> dict[str, Any]:
        """What the record holds of word vectors; that of a resumed run keeps what it held."""
        if self.job.config.word_vectors is None:
            return {}
        if self.vectors is not None:
            return {KEY: self.vectors.record()}
        folder = self.job.folder
        return {KEY: folder.read().get(KEY) if folder.record.is_file() else None}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
