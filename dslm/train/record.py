"""The record of a run, ``run.json``: how it was started, what it is made of and how it stands."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from dslm import __version__
from dslm.environment import World
from dslm.model.counts import parameter_count
from dslm.run.status import Status
from dslm.train.prepare import Job
from dslm.train.screen import command
from dslm.train.word_vectors.embedding import KEY, WordVectors

LIBRARIES = ("torch", "deepspeed", "datasets", "pyarrow")


class RunRecord:
    """The record of one run; only the first rank writes it.

    Args:
        job: what is trained.
        world: this rank among the others.
        words: the arguments of the command.
    """

    def __init__(self, job: Job, world: World, words: Sequence[str]) -> None:
        self.job, self.world, self.words = job, world, words
        self.vectors: WordVectors | None = None
        """The word vectors that the run begins with."""
        self.heartbeat: Mapping[str, Any] | None = None
        """When the run was last seen alive, at which step and in which phase."""

    def write(self, status: Status, ended: str | None = None) -> None:
        """Write ``run.json``, whole or not at all.

        Args:
            status: how the run stands.
            ended: how it ended, a sentence; `None` while it runs.
        """
        state = {"status": status, "ended": ended, "heartbeat": self.heartbeat}
        self.job.folder.write_record({**state, **self._description()})

    def _description(self) -> dict[str, Any]:
        """What does not change while the run is trained."""
        plan = self.job.plan
        return {
            "command": [*command(self.world).split(), *self.words],
            "versions": {
                "dslm": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in LIBRARIES},
            },
            "config": self.job.settings,
            "deepspeed": self.job.deepspeed,
            "plan": {
                **asdict(plan),
                "replicas": plan.replicas,
                "batch": plan.batch,
                "tokens_per_step": plan.tokens_per_step,
                "parameters": parameter_count(self.job.config.model),
                "device": "cpu" if self.world.cpu else "cuda",
            },
            "data": self.job.sources.record(),
            **self._vectors(),
        }

    def _vectors(self) -> dict[str, Any]:
        """What the record holds of word vectors; that of a resumed run keeps what it held."""
        if self.job.config.word_vectors is None:
            return {}
        return {KEY: self.vectors.record() if self.vectors else self.job.folder.read().get(KEY)}
