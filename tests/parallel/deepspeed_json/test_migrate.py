"""Files of older versions and of other trainers, in the shapes in which these were published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dslm.commands.cli import run
from dslm.commands.migrate import main
from dslm.config.overrides import merge, parse_words
from dslm.parallel.deepspeed_json.check import check
from dslm.parallel.deepspeed_json.migrate import migrate

FOLDER = Path(__file__).parent / "older"
MICRO, ROUNDS, BATCH = (
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "train_batch_size",
)
LR = "optimizer.params.lr"
MISSING = {
    "accelerate_template": {LR: 3e-4, MICRO: 4},
    "autotuning": {LR: 3e-4, MICRO: 4, ROUNDS: 2},
    "elastic": {BATCH: 12, MICRO: 4},
    "mixture_of_quantization": {LR: 3e-4, BATCH: 8, MICRO: 4},
    "rate_range_test": {"scheduler": None},
    "transformers_test_zero3": {MICRO: 4, ROUNDS: 2},
    "transformers_zero2": {LR: 3e-4, MICRO: 4, ROUNDS: 2},
    "transformers_zero3": {LR: 3e-4, MICRO: 4, ROUNDS: 2},
}
"""What only a person knows of a file; of those not named, nothing."""
WORDS = {
    "accelerate_template": {"schedule.kind": "linear", "schedule.minimum": 0},
    "cifar": {"schedule.kind": "constant", "schedule.warmup_steps": 1000},
    "cosine": {
        "schedule.kind": "cosine",
        "schedule.warmup_steps": 200,
        "schedule.steps": 10000,
        "schedule.minimum": 0.1,
    },
    "megatron_pipeline": {"pipeline_stages": 2},
    "megatron_zero2_offload": {"model.recompute": "true"},
    "megatron_zero3": {"model.recompute": "true"},
    "one_cycle": {
        "schedule.kind": "linear",
        "schedule.warmup_steps": 1000,
        "schedule.steps": 1500,
        "schedule.minimum": 0.266667,
    },
    "transformers_test_zero3": {"schedule.kind": "constant", "schedule.warmup_steps": 500},
    "transformers_zero2": {"schedule.kind": "constant"},
    "transformers_zero3": {"schedule.kind": "constant"},
}
"""The settings that stand for what dslm owns."""


def older(name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return values


def complete(name: str) -> dict[str, Any]:
    """A file with what only a person knows."""
    words = [f"{key}={json.dumps(value)}" for key, value in MISSING.get(name, {}).items()]
    return merge(older(name), parse_words(words))


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", names())
def test_a_file_becomes_one_that_dslm_and_deepspeed_accept(name: str) -> None:
    from deepspeed.runtime.config import DeepSpeedConfig

    draft, problems = migrate(complete(name))
    assert problems == []
    assert draft.words == WORDS.get(name, {})
    stages = draft.words.get("pipeline_stages", 1)
    assert check(draft.config, pipeline_stages=stages, cpu=False) == []
    DeepSpeedConfig(draft.config)


@pytest.mark.parametrize("name", sorted(MISSING))
def test_what_only_a_person_knows_is_asked_for_all_at_once(name: str) -> None:
    _, problems = migrate(older(name))
    asked = {problem.where for problem in problems}
    assert len(asked) == len(problems)
    batches = {MICRO, ROUNDS, BATCH}
    wanted = {"scheduler.type"} if name == "rate_range_test" else set(MISSING[name])
    assert asked - batches == wanted - batches
    assert bool(asked & batches) == bool(wanted & batches)
    assert all(problem.fix for problem in problems)


@pytest.mark.parametrize("name", names())
def test_every_change_has_a_reason_and_nothing_else_changes(name: str) -> None:
    before = older(name)
    draft, _ = migrate(before)
    assert before == older(name), "what was read stays as it is"
    assert all(change.what and change.why for change in draft.changes)
    touched = {change.where.split(".")[0] for change in draft.changes}
    moved = {change.what.removeprefix("is now ").split(".")[0] for change in draft.changes}
    for key in before.keys() | draft.config.keys():
        if key not in touched | moved:
            assert before.get(key) == draft.config.get(key)


@pytest.mark.parametrize("name", names())
def test_a_migrated_file_stays_as_it_is(name: str) -> None:
    draft, _ = migrate(complete(name))
    again, _ = migrate(draft.config)
    assert again.config == draft.config


def test_flags_of_before_become_blocks() -> None:
    draft, _ = migrate(older("megatron_zero2_offload"))
    assert draft.config["zero_optimization"] == {
        "stage": 2,
        "offload_optimizer": {"device": "cpu", "pin_memory": True},
    }


def test_lamb_at_16_bits_trains_in_float32() -> None:
    draft, _ = migrate(older("bert_lamb_sparse_attention"))
    assert "fp16" not in draft.config
    assert draft.config["optimizer"]["type"] == "Lamb"


def test_the_command_writes_the_file_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new.json"
    words = [f"{LR}=3e-4", f"{MICRO}=4", f"{ROUNDS}=2"]
    source = str(FOLDER / "transformers_zero3.json")
    assert run(main, [source, *words, "--output", str(output)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert 'gradient_clipping: "auto" → 1.0; the default of TrainingArguments' in said.err
    assert "for the run: schedule.kind=constant" in said.err
    assert json.loads(output.read_text())["optimizer"]["params"]["lr"] == 3e-4


def test_the_command_writes_nothing_that_would_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new.json"
    source = str(FOLDER / "transformers_zero3.json")
    assert run(main, [source, "--output", str(output)]) == 2
    said = capsys.readouterr().err
    assert f"error: {LR} = 'auto': was filled in by transformers or accelerate; give {LR}=" in said
    assert not output.exists()
