"""A rank fails: all end, the first failing one is named once, and ``failure.json`` says more."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch
from helpers.trouble import trouble

pytestmark = pytest.mark.ranks


def errors(ended: Ended) -> list[str]:
    return [line for line in ended.messages.splitlines() if line.startswith("error:")]


def failure(ended: Ended) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((ended.folder / "failure.json").read_text())
    return values


def without(words: list[str], key: str) -> list[str]:
    return [word for word in words if not word.startswith(f"{key}=")]


def raised(*_: object) -> None:
    raise ValueError("injected\nmore of it")


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crashed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGBUS)


@pytest.mark.parametrize("pipeline", [1, 2])
@pytest.mark.parametrize("rank", [0, 1])
def test_the_rank_that_raises_is_named_once(
    rank: int, pipeline: int, tmp_path: Path, words: list[str]
) -> None:
    words = [*words, "steps=6", f"pipeline_stages={pipeline}"]
    prepare = partial(trouble, raised, "training", 4, rank)
    ended = launch(tmp_path / "run", words, deepspeed(1), 2, prepare=prepare)
    assert ended.code == 1
    host = os.uname().nodename
    assert errors(ended) == [
        f"error: rank {rank} on host {host} failed at step 4 (training, samples 48–63): "
        f"ValueError: injected; details in {tmp_path}/run/failure.json"
    ]
    assert "Traceback" not in ended.messages
    found = failure(ended)
    assert (found["rank"], found["step"], found["samples"]) == (rank, 4, [48, 63])
    assert found["exception"] == "ValueError"
    assert "in raised" in found["traceback"]
    record = json.loads((ended.folder / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["heartbeat"]["host"] == host
    assert "ValueError: injected" in record["ended"]


def under_torchrun(file: Path, rank: int) -> None:
    """Rank 1 raises, and each rank is told where to leave a message for ``torchrun``."""
    os.environ["TORCHELASTIC_ERROR_FILE"] = f"{file}.{rank}"
    trouble(raised, "training", 4, 1, rank)


def test_the_rank_that_reports_a_failure_leaves_it_for_torchrun(
    tmp_path: Path, words: list[str]
) -> None:
    prepare = partial(under_torchrun, tmp_path / "error")
    ended = launch(tmp_path / "run", [*words, "steps=6"], deepspeed(1), 2, prepare=prepare)
    assert not (tmp_path / "error.0").exists()
    left = json.loads((tmp_path / "error.1").read_text())["message"]
    assert [left["message"]] == errors(ended)
    assert left["extraInfo"]["py_callstack"] == left["message"]


@pytest.mark.parametrize("phase", ["measuring", "saving"])
def test_the_phase_in_which_a_rank_failed_is_named(
    phase: str, tmp_path: Path, words: list[str], shards: Path
) -> None:
    more = ["steps=4", "evaluation_interval=2", "checkpoint_interval=2"]
    more += [f"data.validation={shards}", "data.validation_windows=8"]
    words = [*without(words, "evaluation_interval"), *more]
    prepare = partial(trouble, raised if phase == "measuring" else full, phase, 4, 1)
    ended = launch(tmp_path / "run", words, deepspeed(1), 2, prepare=prepare)
    assert ended.code == 1
    [line] = errors(ended)
    assert f"rank 1 on host {os.uname().nodename} failed at step 4 ({phase}, " in line
    assert failure(ended)["phase"] == phase
    again = launch(tmp_path / "run", words, deepspeed(1), 2)
    assert again.code == 0, again.messages
    assert not (again.folder / "failure.json").exists()


@pytest.mark.parametrize(("what", "why"), [(killed, "out of memory"), (crashed, "Bus error")])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_ends_without_a_word_is_named_by_another(
    what: Any, why: str, rank: int, tmp_path: Path, words: list[str]
) -> None:
    prepare = partial(trouble, what, "training", 4, rank)
    ended = launch(tmp_path / "run", [*words, "steps=6"], deepspeed(1), 2, prepare=prepare)
    assert ended.code not in (0, None)
    [line] = errors(ended)
    assert f"rank {rank} on host {os.uname().nodename} ended without a word at step 4" in line
    assert why in line
    found = failure(ended)
    assert (found["rank"], found["exception"], found["found_by"]) == (rank, "killed", 1 - rank)


def test_a_mistake_that_all_ranks_find_is_reported_once_as_one(
    tmp_path: Path, words: list[str], shards: Path
) -> None:
    copy = tmp_path / "set"
    shutil.copytree(shards, copy)
    file = next(copy.glob("*.arrow"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    words = [*without(words, "data.train"), "steps=6", f"data.train={copy}"]
    ended = launch(tmp_path / "run", words, deepspeed(1), 2)
    assert ended.code == 2
    [line] = errors(ended)
    assert line.startswith(f"error: {file}: its bytes have changed since manifest.json was written")
