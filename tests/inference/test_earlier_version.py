"""A run of an earlier version, whose settings had other names, is still of use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub import write_checkpoint
from helpers.models import build
from helpers.pages import Page
from safetensors.torch import load_file

from dslm.commands import evaluate, generate, report
from dslm.commands.cli import run
from dslm.environment import World
from dslm.inference.trained import load
from dslm.run.checkpoint import newest_good, verify
from dslm.run.folder import RunFolder
from dslm.shards.shard_set import ShardSet
from dslm.train.prepare import Job, prepare

OLD_NAMES = {"bottleneck_length": "code_length", "bottleneck_width": "code_width"}


@pytest.fixture
def prepared(shard_set: Path, deepspeed_file: Path, tmp_path: Path) -> Callable[..., Job]:
    """Prepares the command again that made the run, with words more."""

    def again(*more: str, run: str = "run") -> Job:
        words = ["tiny", "model.layers=1", "model.width=16", "model.heads=2", "model.sequence=24"]
        words += [f"data.train={shard_set}", f"run={tmp_path / run}", *more]
        return prepare(words, None, str(deepspeed_file), World())

    return again


@pytest.fixture
def old(prepared: Callable[..., Job]) -> RunFolder:
    """A run as the earlier version left it after step 7."""
    job = prepared()
    config: dict[str, Any] = job.settings
    config["start"] = config.pop("init_from")
    config["model"] = {OLD_NAMES.get(key, key): value for key, value in config["model"].items()}
    folder = job.folder
    folder.path.mkdir()
    record = {"format": 1, "config": config, "data": job.sources.record()}
    folder.record.write_text(json.dumps(record))
    folder.metrics.write_text('{"step": 7, "tokens": 1344, "loss": 2.5, "seconds": 1.0}\n')
    folder.tokenizer.symlink_to(ShardSet.open(job.sources.train[0].folder).tokenizer)
    write_checkpoint(folder, build(job.config.model), "exp_avg", "exp_avg_sq")
    return folder


def test_it_opens_with_its_weights(old: RunFolder) -> None:
    trained = load(old.path)
    assert trained.config.init_from is None
    assert trained.config.model.bottleneck_length == 0
    stored = load_file(old.checkpoint(7) / "layer-0000.safetensors")
    for name, weight in stored.items():
        assert torch.equal(trained.model.state_dict()[f"layers.{name}"].cpu(), weight)


def test_it_can_be_resumed(old: RunFolder, prepared: Callable[..., Job]) -> None:
    assert prepared().folder.path == old.path
    assert newest_good(old.checkpoints, verify) == (7, [])


def test_another_run_can_begin_with_it(old: RunFolder, prepared: Callable[..., Job]) -> None:
    job = prepared(f"init_from={old.path}", run="later")
    assert job.init_from is not None
    assert job.init_from.checkpoint == old.checkpoint(7)


def test_its_record_is_a_file_of_settings(old: RunFolder, deepspeed_file: Path) -> None:
    words = [f"run={old.path}-again"]
    job = prepare(words, str(old.record), str(deepspeed_file), World())
    assert job.config.model == old.read_config().model


def test_it_is_evaluated_asked_and_reported(
    old: RunFolder, shard_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(evaluate.main, [str(old.path), "--data", str(shard_set), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 7
    assert run(generate.main, [str(old.path), "--prompt", "1", "--max-new-tokens", "3"]) == 0
    assert capsys.readouterr().out.startswith("1")
    assert run(report.main, [str(old.path)]) == 0
    assert "bottleneck_length" in Page(old.report).texts["th"]
