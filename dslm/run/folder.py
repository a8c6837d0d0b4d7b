"""A run's folder: what is where, who may write there, and whether a run may go on there.

run.json  metrics.jsonl  skipped.jsonl  report.html  tokenizer/  logs/rank-0.log …
evaluations.jsonl  samples.jsonl  quantization.json
checkpoints/step-00000100/
Of a run that failed or stalled also failure.json, stalls/rank-0.txt …
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dslm.config.parse import parse
from dslm.config.renamed import with_current_names
from dslm.errors import CheckpointError, ConfigError, Problem, UserError
from dslm.files.whole import appearing_folder, read_json, write_json
from dslm.run.best import Step, best
from dslm.run.checkpoint import check_format, checkpoint_folder, checkpoints
from dslm.run.config import RENAMED, RunConfig
from dslm.run.heartbeats import Heartbeats
from dslm.run.lock import RunLock
from dslm.run.mistaken import CHECKPOINTS, RECORD, is_run, not_a_run
from dslm.run.status import with_status_word

DECIDES: tuple[str, ...] = ("model", "objective", "init_from", "word_vectors", "quantization")
DECIDES += ("seed", "frozen", "lora")
"""Settings that a resumed run must share with the one it continues…"""
ROWS = ("packing", "document_borders", "augmentation")
"""… and those of its data that decide which rows it sees."""
FORMAT = 1
"""Version of ``run.json``."""
UNTRAINED = "untrained"
"""The key of ``run.json`` for weights that an import has drawn, as it found none."""

EXAMPLES = "examples"
"""The folder of the shard sets that were made of labelled files for a run."""
EARLY = (".lock", ".ranks", "logs", "stalls", "failure.json", EXAMPLES)
"""What may be there before there is a run: what a start leaves that came to nothing."""


class RunFolder:
    """The folder of one run.

    Args:
        path: the folder; need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = path / RECORD
        self.metrics = path / "metrics.jsonl"
        self.skipped = path / "skipped.jsonl"
        self.tokenizer = path / "tokenizer"
        self.checkpoints = path / CHECKPOINTS
        self.logs = path / "logs"
        self.report = path / "report.html"
        self.quantization = path / "quantization.json"
        self.examples = path / EXAMPLES
        self.failure = path / "failure.json"
        self.stalls = path / "stalls"
        self.heartbeats = Heartbeats(path / ".ranks")
        self.lock = RunLock(path, self._heartbeat)
        self._writing = threading.Lock()

    @classmethod
    def open(cls, path: Path, steps: bool = False) -> RunFolder:
        """The folder of a run that has begun, which may have lost its ``run.json``.

        Args:
            path: the folder.
            steps: whether the command that was given the path takes ``--step``.

        Raises:
            CheckpointError: it is none.
        """
        if not is_run(path):
            raise CheckpointError(not_a_run(path, steps))
        return cls(path)

    def read(self) -> dict[str, Any]:
        """The contents of ``run.json``.

        Raises:
            UserError: there is none, or it is broken.
        """
        record = self._readable()
        check_format(self.record, record.get("format"), FORMAT)
        config = record.get("config", {})
        if not isinstance(config, dict):
            rule = "must be a group of keys: the settings of the run"
            raise CheckpointError(Problem(f"{self.record}: config", config, rule))
        return {**with_status_word(record), "config": with_current_names(config, RENAMED)}

    def _readable(self) -> dict[str, Any]:
        """The record, or where it is lost the copy in the newest checkpoint that has one."""
        try:
            if self.record.is_file():
                return read_json(self.record)
            raise CheckpointError(not_a_run(self.path))
        except UserError:
            for _, folder in checkpoints(self.checkpoints):
                with suppress(UserError):
                    return read_json(folder / "run.json")
            raise

    def read_config(self) -> RunConfig:
        """The settings of the run.

        Raises:
            UserError: there is no ``run.json``, or it is broken.
        """
        return parse(RunConfig, self.read()["config"])

    def read_quantization(self) -> dict[str, Any]:
        """What ``dslm quantization`` found, from ``quantization.json``; empty where it is not."""
        return read_json(self.quantization) if self.quantization.exists() else {}

    def write_quantization(self, found: Mapping[str, Any]) -> None:
        """Write ``quantization.json``."""
        write_json(self.quantization, found)

    def find_checkpoint(self, step: Step) -> tuple[int, Path]:
        """A checkpoint of the run, by its step, the best, or the newest.

        Raises:
            CheckpointError: there is none.
        """
        known = dict(checkpoints(self.checkpoints))
        if step == "best" and (step := best(self.checkpoints)) is None and known:
            rule, fix = "nothing was measured at any checkpoint", "leave it out for the newest"
            raise CheckpointError(Problem("--step", "best", rule, fix))
        if not known or (step is not None and step not in known):
            rule = f"has no checkpoint of step {step}" if known else "has no checkpoint yet"
            again = "let it train as far as its first one (checkpoint_interval)"
            fix = f"choose from {', '.join(map(str, sorted(known)))}" if known else again
            raise CheckpointError(Problem(str(self.path), None, rule, fix))
        chosen = max(known) if step is None else step
        return chosen, known[chosen]

    def log(self, rank: int) -> Path:
        """Where a rank's libraries print to."""
        return self.logs / f"rank-{rank}.log"

    def checkpoint(self, step: int) -> Path:
        """The folder of the checkpoint of a step."""
        return checkpoint_folder(self.checkpoints, step)

    def newest_step(self) -> int:
        """The step of the newest checkpoint, 0 when there is none."""
        return max((step for step, _ in checkpoints(self.checkpoints)), default=0)

    def _heartbeat(self) -> Mapping[str, Any]:
        """When the run was last seen alive, as far as ``run.json`` says."""
        with suppress(UserError):
            return self.read().get("heartbeat") or {}
        return {}

    def add_tokenizer(self, source: Path) -> None:
        """Copy a tokenizer into the folder, whole or not at all, unless there is one already.

        Args:
            source: its folder.
        """
        if self.tokenizer.exists():
            return
        with appearing_folder(self.tokenizer) as partial:
            shutil.copytree(source, partial)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write ``run.json``, and make the folder if there is none."""
        with self._writing:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.record, {"format": FORMAT, **record})

    def write_heartbeat(self, heartbeat: Mapping[str, Any]) -> None:
        """Write a sign of life into the ``run.json`` of a running run; any thread may.

        Raises:
            UserError: there is none, or it is broken.
        """
        with self._writing:
            record = read_json(self.record)
            if record.get("status") == "running":
                write_json(self.record, {**record, "heartbeat": dict(heartbeat)})


def check_folder(
    folder: RunFolder, config: Mapping[str, Any], data: Mapping[str, Any], fresh: bool
) -> list[Problem]:
    """What keeps a run from starting or going on in a folder.

    Args:
        folder: where.
        config: the resolved settings, nested.
        data: the record of the data, as in ``run.json``.
        fresh: whether an empty folder is asked for.
    """
    path, where = folder.path, str(folder.path)
    parent = _existing_parent(path)
    if not parent.is_dir():
        return [Problem("run", where, f"{parent} is a file", "choose another run=")]
    if not os.access(parent, os.W_OK):
        return [Problem("run", where, "cannot be written", "choose another run=")]
    if not path.exists() or all(entry.name in EARLY for entry in path.iterdir()):
        return []
    if fresh:
        fix = "choose another run=, or leave fresh=true out to resume"
        return [Problem("run", where, "is not empty, and fresh=true was given", fix)]
    try:
        before = folder.read()
    except UserError:
        rule = "holds something that is not a run (it has no readable run.json)"
        again = ", or remove this folder to start over" if is_run(path) else ""
        return [Problem("run", where, rule, f"choose another run={again}")]
    return [*_changed(before, config, data), *_finished(folder, config)]


def _changed(
    before: Mapping[str, Any], config: Mapping[str, Any], data: Mapping[str, Any]
) -> list[Problem]:
    """Settings that are not those the run began with."""
    fix = "use the same, or choose another run="
    problems = []
    old, new = (flat(_deciding(c)) for c in (filled(before["config"]), config))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            rule = f"the run in this folder has {old.get(key)!r}"
            problems.append(Problem(key, new.get(key), rule, fix))
    return problems + _changed_sources(before.get("data", {}), data, config["data"]["train"])


def _changed_sources(
    before: Mapping[str, Any], data: Mapping[str, Any], named: Any
) -> list[Problem]:
    """Whether a run can go on with these shard sets: those of before, and perhaps more.

    Where they have shares, these may change; where each row is read once an epoch, all sets are one
    order and must stay as they are.
    """
    old, new = (d.get("train", []) for d in (before, data))
    then, now = ([source["fingerprint"] for source in each] for each in (old, new))
    if now[: len(then)] != then:
        rule = "is not what the run in this folder is trained on"
        fix = "use the same, others may follow; or choose another run="
        return [Problem("data.train", named, rule, fix)]
    shares = [[source.get("share") for source in each] for each in (old, new)]
    mixed = "mixture" in before and (len(new) == 1 or None not in shares[1])
    if shares[0] == shares[1] or mixed:
        return []
    rule = "is in other shares than in the run in this folder, whose order allows no change"
    fix = "use the same, or begin another run= with its weights (init_from=)"
    return [Problem("data.train", named, rule, fix)]


def filled(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of an earlier version of dslm, with the defaults of those it did not have."""
    try:
        return asdict(parse(RunConfig, config))
    except ConfigError:
        return config


def _deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that may not change from one start to the next."""
    rows = {key: config.get("data", {}).get(key) for key in ROWS}
    return {**{key: config.get(key) for key in DECIDES}, "data": rows}


def _finished(folder: RunFolder, config: Mapping[str, Any]) -> list[Problem]:
    step = folder.newest_step()
    if config["steps"] >= step:
        return []
    rule = f"the run in this folder has made {step} steps already"
    fix = f"use steps={step} or more, or choose another run="
    return [Problem("steps", config["steps"], rule, fix)]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def _existing_parent(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() else _existing_parent(path.parent)
