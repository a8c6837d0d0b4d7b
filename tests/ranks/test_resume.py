"""A run that was stopped goes on as if it had not been, at any layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

pytestmark = pytest.mark.ranks


def train(
    folder: Path, words: list[str], ranks: int, stage: int, pipeline: int = 1, tensor: int = 1
) -> Ended:
    axes = [f"pipeline_stages={pipeline}", f"tensor_parallel={tensor}"]
    ended = launch(folder, [*words, *axes], deepspeed(stage), ranks)
    assert ended.code == 0, ended.messages
    return ended


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> tuple[Ended, Ended]:
    """40 steps of ZeRO-2 on two ranks at one go, and the first 20 of them alone."""
    folder = tmp_path_factory.mktemp("halves")
    schedule = ["schedule.kind=constant", "schedule.warmup_steps=5"]
    whole = train(folder / "whole", [*words, *schedule, "steps=40"], 2, 2)
    return whole, train(folder / "half", [*words, *schedule, "steps=20"], 2, 2)


RESUMED = {
    "ZeRO-3 on two ranks": (2, 3, 1),
    "one rank": (1, 0, 1),
    "pipeline of two": (2, 1, 2),
    "ZeRO-1 on two ranks": (2, 1, 1),
    "tensor axis of two, ZeRO-3": (4, 3, 1, 2),
    "tensor axis and pipeline of two": (4, 1, 2, 2),
}


def go_on(half: Ended, folder: Path, words: list[str], *layout: int) -> Ended:
    shutil.copytree(half.folder, folder)
    schedule = ["schedule.kind=constant", "schedule.warmup_steps=5", "steps=40"]
    return train(folder, [*words, *schedule], *layout)


def test_20_and_20_steps_are_the_40_steps_to_the_last_bit(
    halves: tuple[Ended, Ended], tmp_path: Path, words: list[str]
) -> None:
    whole, half = halves
    resumed = go_on(half, tmp_path / "run", words, 2, 2)
    assert "from step 20" in resumed.messages
    assert resumed.metrics() == whole.metrics()
    assert len(resumed.metrics()) == 40


@pytest.mark.parametrize("layout", RESUMED)
def test_a_run_goes_on_at_another_layout(
    layout: str, halves: tuple[Ended, Ended], tmp_path: Path, words: list[str]
) -> None:
    whole, half = halves
    resumed = go_on(half, tmp_path / "run", words, *RESUMED[layout])
    assert resumed.metrics()[20:30] == pytest.approx(whole.metrics()[20:30], rel=1e-5)


def test_a_run_of_a_tensor_axis_goes_on_at_another_layout(
    halves: tuple[Ended, Ended], tmp_path: Path, words: list[str]
) -> None:
    whole, _ = halves
    schedule = ["schedule.kind=constant", "schedule.warmup_steps=5"]
    half = train(tmp_path / "half", [*words, *schedule, "steps=20"], 4, 1, 2, 2)
    for name, layout in {"one": (1, 0), "two": (2, 3), "tensor": (2, 2, 1, 2)}.items():
        resumed = go_on(half, tmp_path / name, words, *layout)
        assert resumed.metrics()[20:30] == pytest.approx(whole.metrics()[20:30], rel=1e-5), name


def test_a_run_goes_on_with_a_second_copy_of_the_weights_on_each_host(
    halves: tuple[Ended, Ended], tmp_path: Path, words: list[str]
) -> None:
    whole, half = halves
    shutil.copytree(half.folder, tmp_path / "run")
    more = ["schedule.kind=constant", "schedule.warmup_steps=5", "steps=40"]
    config = deepspeed(zero_optimization={"stage": 3, "zero_hpz_partition_size": 2})
    resumed = launch(tmp_path / "run", [*words, *more], config, 2)
    assert resumed.code == 0, resumed.messages
    assert resumed.metrics()[20:30] == pytest.approx(whole.metrics()[20:30], rel=1e-5)


def test_dropout_goes_on_with_the_same_masks(tmp_path: Path, words: list[str]) -> None:
    words = [*words, "model.dropout=0.2", "schedule.kind=constant", "schedule.warmup_steps=2"]
    whole = train(tmp_path / "whole", [*words, "steps=12"], 2, 1)
    train(tmp_path / "half", [*words, "steps=6"], 2, 1)
    shutil.copytree(tmp_path / "half", tmp_path / "elsewhere")
    assert train(tmp_path / "half", [*words, "steps=12"], 2, 1).metrics() == whole.metrics()
    elsewhere = train(tmp_path / "elsewhere", [*words, "steps=12"], 1, 0)
    assert elsewhere.metrics() == pytest.approx(whole.metrics(), rel=1e-5)


def test_bf16_goes_on_to_the_last_bit(tmp_path: Path, words: list[str]) -> None:
    half = {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
    words = [*words, "schedule.kind=constant", "schedule.warmup_steps=2"]
    runs = [
        launch(tmp_path / name, [*words, f"steps={steps}"], deepspeed(2, **half), 2)
        for name, steps in (("whole", 12), ("half", 6), ("half", 12))
    ]
    assert [run.code for run in runs] == [0, 0, 0], runs[-1].messages
    assert runs[2].metrics() == runs[0].metrics()


def test_the_order_of_samples_survives_another_batch_size(tmp_path: Path, words: list[str]) -> None:
    ended = launch(tmp_path / "run", [*words, "steps=4"], deepspeed(), 1)
    assert ended.code == 0, ended.messages
    twice = deepspeed(train_batch_size=32)
    assert launch(tmp_path / "run", [*words, "steps=6"], twice, 1).code == 0
    state = tmp_path / "run/checkpoints/step-00000006/state.json"
    assert json.loads(state.read_text())["samples"] == 4 * 16 + 2 * 32


def test_other_ranks_keep_a_batch_that_the_json_does_not_name(
    halves: tuple[Ended, Ended], tmp_path: Path, words: list[str]
) -> None:
    """From 2 × 4 × 2 replicas to 2 × 8 × 1, to a pipeline of two, to 2 × 4 × 2 and to 3 ranks."""
    whole, _ = halves
    config = {key: value for key, value in deepspeed(2).items() if key != "train_batch_size"}
    config["gradient_accumulation_steps"] = 4
    words = [*words, "schedule.kind=constant", "schedule.warmup_steps=5"]
    starts = [(2, 1, ""), (1, 1, "kept, 16 = 2 × 8 × 1 replicas; was 16 = 2 × 4 × 2 replicas")]
    starts += [(2, 2, ""), (2, 1, "kept, 16 = 2 × 4 × 2 replicas; was 16 = 2 × 8 × 1 replicas")]
    for number, (ranks, pipeline, said) in enumerate(starts, 1):
        config["zero_optimization"] = {"stage": 1 if pipeline > 1 else number % 4}
        more = [f"pipeline_stages={pipeline}", f"steps={6 * number}"]
        ended = launch(tmp_path / "run", [*words, *more], config, ranks)
        assert ended.code == 0, ended.messages
        assert f"batch    {said}" in ended.messages
    assert ended.metrics() == pytest.approx(whole.metrics()[:24], rel=1e-4)
    refused = launch(tmp_path / "run", [*words, "steps=30"], config, 3)
    assert refused.code == 2
    assert "use 12 or 18, or 2 or 4 ranks" in refused.messages


def test_a_longer_run_says_what_the_rate_does_and_the_last_screens_command_keeps_it(
    tmp_path: Path, words: list[str]
) -> None:
    words = [*words, "schedule.warmup_steps=0", "log_interval=1"]
    first = launch(tmp_path / "run", [*words, "steps=4"], deepspeed(), 1)
    assert first.results.rstrip().endswith("steps=8 schedule.steps=4"), first.messages
    shutil.copytree(first.folder, tmp_path / "kept")
    longer = launch(tmp_path / "run", [*words, "steps=8"], deepspeed(), 1)
    kept = launch(tmp_path / "kept", [*words, "steps=8", "schedule.steps=4"], deepspeed(), 1)
    assert (
        "was 1.00e-03 at step 4, goes on with 4.50e-03; schedule.steps=4 goes on with 1.00e-03"
        in longer.messages
    )
    assert "changed  steps 4 → 8" in longer.messages
    assert longer.metrics("learning_rate")[4] == pytest.approx(4.50e-3, rel=1e-3)
    assert "goes on with" not in kept.messages
    assert kept.metrics("learning_rate")[3:] == pytest.approx([1e-3] * 5)


def test_a_finished_run_makes_no_further_step(tmp_path: Path, words: list[str]) -> None:
    first = launch(tmp_path / "run", [*words, "steps=3"], deepspeed(), 1)
    again = launch(tmp_path / "run", [*words, "steps=3"], deepspeed(), 1)
    assert again.code == 0, again.messages
    assert "nothing was done" in again.results
    assert again.metrics() == first.metrics()


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, words: list[str]
) -> None:
    words = [*words, "steps=6", "checkpoint_interval=3"]
    whole = launch(tmp_path / "run", words, deepspeed(), 1)
    file = tmp_path / "run/checkpoints/step-00000006/layer-0002.safetensors"
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(content)
    again = launch(tmp_path / "run", words, deepspeed(), 1)
    assert again.code == 0, again.messages
    assert "layer-0002.safetensors: is damaged" in again.messages
    assert "from step 3" in again.messages
    assert again.metrics() == whole.metrics()


def test_without_a_whole_checkpoint_nothing_starts_over_silently(
    tmp_path: Path, words: list[str]
) -> None:
    launch(tmp_path / "run", [*words, "steps=3"], deepspeed(), 1)
    (tmp_path / "run/checkpoints/step-00000003/state.json").write_text("{")
    again = launch(tmp_path / "run", [*words, "steps=6"], deepspeed(), 1)
    assert again.code == 2
    assert "no whole checkpoint is left" in again.messages
    assert len(again.metrics()) == 3
