"""Recurrent models train at every layout with the same losses, and go on where they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

from dslm.inference.complete import complete
from dslm.inference.evaluate import evaluate
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load
from dslm.shards.shard_set import ShardSet

pytestmark = pytest.mark.ranks

STEPS = 8
LAYOUTS = {
    "ZeRO-1": ("lstm_small", 1, 1),
    "ZeRO-3": ("lstm_small", 3, 1),
    "pipeline": ("lstm_small", 1, 2),
    "ZeRO-3 of a GRU": ("gru_small", 3, 1),
}
"""Preset, ZeRO stage and pipeline stages, on two ranks."""


def train(
    folder: Path, preset: str, words: list[str], ranks: int, stage: int = 0, pipeline: int = 1
) -> Ended:
    shape = [word for word in words[1:] if not word.startswith("model.heads=")]
    words = [preset, *shape, "log_interval=1", f"pipeline_stages={pipeline}"]
    words += ["schedule.kind=constant", "schedule.warmup_steps=2"]
    if not any(word.startswith("steps=") for word in words):
        words.append(f"steps={STEPS}")
    ended = launch(folder, words, deepspeed(stage), ranks)
    assert ended.code == 0, ended.messages
    return ended


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> dict[str, Ended]:
    folder = tmp_path_factory.mktemp("references")
    return {p: train(folder / p, p, words, ranks=1) for p in ("lstm_small", "gru_small")}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_losses_of_one_rank(
    layout: str, references: dict[str, Ended], tmp_path: Path, words: list[str]
) -> None:
    preset, stage, pipeline = LAYOUTS[layout]
    losses = train(tmp_path / "run", preset, words, 2, stage, pipeline).metrics()
    known = references[preset].metrics()
    assert len(losses) == len(known) == STEPS
    assert losses[0] == pytest.approx(known[0], rel=1e-6)
    assert losses == pytest.approx(known, rel=1e-4)
    assert losses[-1] < losses[0] - 0.3


def test_a_run_is_evaluated_and_generated_from_past_its_window(
    references: dict[str, Ended], shards: Path
) -> None:
    for run in references.values():
        trained = load(run.folder)
        assert evaluate(trained, ShardSet.open(shards)).loss < run.metrics()[0] - 0.3
        text = complete(trained, "3 times 4", 60, SamplingConfig(seed=1))
        assert text.startswith("3 times 4")
        assert len(text) == 9 + 60


def test_a_run_that_was_stopped_is_the_same_to_the_last_bit(
    references: dict[str, Ended], tmp_path: Path, words: list[str]
) -> None:
    for steps in (STEPS // 2, STEPS):
        ended = train(tmp_path / "run", "lstm_small", [*words, f"steps={steps}"], ranks=1)
    assert f"from step {STEPS // 2}" in ended.messages
    assert ended.metrics() == references["lstm_small"].metrics()
