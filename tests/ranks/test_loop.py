"""What the loop does besides training: stop early, measure, save, speak, refuse to save a ruin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

pytestmark = pytest.mark.ranks


def steps_saved(folder: Path) -> list[str]:
    return sorted(entry.name for entry in (folder / "checkpoints").iterdir())


def test_a_target_loss_ends_the_run_with_a_checkpoint(
    tmp_path: Path, words: list[str], shards: Path
) -> None:
    words = [f"data.validation={shards}" if w.startswith("evaluation") else w for w in words]
    words += ["steps=50", "evaluation_interval=5", "target_loss=2.5", "checkpoint_interval=1000"]
    ended = launch(tmp_path / "run", words, deepspeed(1), 2)
    assert ended.code == 0, ended.messages
    assert "reached target_loss = 2.5" in ended.results
    measured = ended.metrics("validation_loss")
    assert measured[-1] <= 2.5 < min(measured[:-1], default=9)
    assert steps_saved(ended.folder) == [f"step-{5 * len(measured):08d}"]


def test_patience_ends_a_run_that_no_longer_improves(
    tmp_path: Path, words: list[str], shards: Path
) -> None:
    words = [f"data.validation={shards}" if w.startswith("evaluation") else w for w in words]
    words += ["steps=50", "evaluation_interval=1", "patience=2"]
    stuck = deepspeed(optimizer={"type": "SGD", "params": {"lr": 1e-12}})
    ended = launch(tmp_path / "run", words, stuck, 1)
    assert ended.code == 0, ended.messages
    assert "for 2 measurements" in ended.results
    measured = len(ended.metrics("validation_loss"))
    assert measured < 50
    again = launch(tmp_path / "run", [*words[:-1], "patience=4"], stuck, 1)
    assert "for 4 measurements" in again.results, "a resumed run has not forgotten its misses"
    assert len(again.metrics("validation_loss")) == measured + 2


@pytest.mark.parametrize("stages", [1, 2])
def test_measuring_between_steps_changes_none_of_them(
    stages: int, tmp_path: Path, words: list[str], shards: Path
) -> None:
    """Dropout goes on after it, too."""
    words = [word for word in words if not word.startswith("evaluation")]
    words += ["steps=6", "model.dropout=0.2", f"pipeline_stages={stages}"]
    measuring = [f"data.validation={shards}", "evaluation_interval=2"]
    still = launch(tmp_path / "still", words, deepspeed(1), stages)
    measured = launch(tmp_path / "measured", [*words, *measuring], deepspeed(1), stages)
    assert (still.code, measured.code) == (0, 0), still.messages + measured.messages
    assert len(measured.metrics("validation_loss")) == 3
    assert measured.metrics() == still.metrics()


def test_a_loss_that_is_no_number_ends_the_run_and_is_not_saved(
    tmp_path: Path, words: list[str]
) -> None:
    ruin = deepspeed(optimizer={"type": "SGD", "params": {"lr": 1e30}}, gradient_clipping=0.0)
    ended = launch(tmp_path / "run", [*words, "steps=20", "schedule.warmup_steps=0"], ruin, 2)
    assert ended.code == 1
    assert ended.messages.count("error: the loss is nan at step") == 1
    assert "lower the peak learning rate" in ended.messages
    assert not (ended.folder / "checkpoints").exists()


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path, words: list[str]) -> None:
    words = [*words, "steps=8", "checkpoint_interval=2", "keep=2"]
    ended = launch(tmp_path / "run", words, deepspeed(2), 2)
    assert ended.code == 0, ended.messages
    assert steps_saved(ended.folder) == ["step-00000006", "step-00000008"]


def test_the_folder_the_metrics_and_the_screens_are_complete(
    tmp_path: Path, words: list[str]
) -> None:
    words = [*words, "steps=4", "tensorboard=true"]
    ended = launch(tmp_path / "run", words, deepspeed(1), 2)
    assert ended.code == 0, ended.messages
    first = json.loads((ended.folder / "metrics.jsonl").read_text().splitlines()[0])
    wanted = "step tokens loss learning_rate gradient_norm tokens_per_second seconds"
    assert set(wanted.split()) <= first.keys()
    assert first["tokens"] == 16 * 16
    record = json.loads((ended.folder / "run.json").read_text())
    assert {"versions", "config", "deepspeed", "plan", "data"} <= record.keys()
    assert list((ended.folder / "tensorboard").glob("events.*"))
    assert (ended.folder / "report.html").is_file()
    assert (
        "2 replicas × 2 sequences × 4 accumulation steps × 16 tokens = 256 tokens a step"
        in ended.messages
    )
    assert "[INFO]" not in ended.messages + ended.results
    for line in ("ended", "folder", "evaluate", "generate", "resume"):
        assert f"\n{line}" in f"\n{ended.results}"


def test_every_kind_of_model_trains_under_zero_3_and_as_a_pipeline_alike(
    tmp_path: Path, words: list[str]
) -> None:
    kind = ["model.positions=rotary", "model.norm=rms", "model.activation=swiglu", "steps=6"]
    kind += ["model.bias=false", "model.tied=false", "model.key_value_heads=1", "model.width=28"]
    words = [word for word in words if "width" not in word] + kind + ["model.recompute=true"]
    zero = launch(tmp_path / "zero", words, deepspeed(3), 2)
    pipe = launch(tmp_path / "pipe", [*words, "pipeline_stages=2"], deepspeed(1), 2)
    assert (zero.code, pipe.code) == (0, 0), zero.messages + pipe.messages
    assert zero.metrics() == pytest.approx(pipe.metrics(), rel=1e-5)
