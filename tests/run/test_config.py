from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dslm.config.help import keys
from dslm.config.parse import parse
from dslm.run.check import check_run
from dslm.run.config import RunConfig
from dslm.run.presets import PRESETS
from dslm.run.settings import settings

REQUIRED = ["data.train=shards", "run=runs/a"]


def made(*words: str) -> RunConfig:
    given = {word.partition("=")[0] for word in words}
    required = [word for word in REQUIRED if word.partition("=")[0] not in given]
    return settings(["tiny", *required, *words], None)


def test_every_key_has_a_meaning_and_a_type_in_words() -> None:
    for key in keys(RunConfig).values():
        assert key.meaning.endswith(".") or key.type == "a group of keys", key.name
        assert "typing" not in key.type, key.name
        assert "Annotated" not in key.type, key.name


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "fine_tune"])
def test_every_preset_is_right_and_says_what_it_is(preset: str) -> None:
    config = settings([preset, *REQUIRED], None)
    assert config.preset == preset
    assert check_run(config) == []
    assert PRESETS[preset].__doc__
    assert PRESETS[preset]() is not PRESETS[preset]()


def test_words_lie_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"steps": 7, "seed": 7, "model": {"layers": 7}}')
    config = settings(["tiny", *REQUIRED, "seed=9"], str(file))
    assert (config.steps, config.seed, config.model.layers, config.model.width) == (7, 9, 7, 128)


def test_a_record_of_a_run_is_a_file_of_settings(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text('{"config": {"preset": "demo", "run": "b", "seed": 3}, "status": "running"}')
    config = settings(["data.train=shards"], str(file))
    assert (config.preset, config.run, config.seed, config.model.width) == ("demo", "b", 3, 192)


def test_log_interval_is_one_for_the_smallest_preset() -> None:
    assert made().log_interval == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["steps=10", "schedule.warmup_steps=10"],
            "schedule.warmup_steps = 10: leaves none of the 10 steps after the warm-up; "
            "use at most 9, or null",
        ),
        (["target_loss=2"], "target_loss = 2.0: needs a validation set; set data.validation="),
        (["patience=2"], "patience = 2: needs a validation set; set data.validation=FOLDER"),
        (
            ["log_interval=4", "layer_norms_interval=10"],
            "layer_norms_interval = 10: is no multiple of log_interval = 4, whose lines hold the "
            "norms; use 12",
        ),
        (
            ["pipeline_stages=3"],
            "pipeline_stages = 3: is more than model.layers = 2; use at most 2",
        ),
        (
            ["tensor_parallel=4", "model.heads=8", "model.key_value_heads=2"],
            "tensor_parallel = 4: does not divide model.key_value_heads = 2; "
            "use 1 or 2, or a shape that 4 divides",
        ),
        (
            ["tensor_parallel=8", "model.heads=12", "model.width=96", "model.feed_forward=100"],
            "tensor_parallel = 8: does not divide model.heads = 12 and model.feed_forward = 100; "
            "use 2 or 4, or a shape that 8 divides",
        ),
        (
            ["tensor_parallel=2", "sequence_parallel=4", "model.heads=4", "model.width=64"],
            "tensor_parallel = 2: does not divide model.heads / 4 sequence ranks = 1; "
            "use 1, or a shape that 2 divides",
        ),
        (
            ["tensor_parallel=2", "lora.rank=4"],
            "lora.rank = 4: needs whole matrices, which tensor_parallel = 2 cuts; "
            "leave out one of the two, or give tensor_parallel=1",
        ),
        (
            ['data.train={"a": 1, "b": 2}', "data.temperature=5"],
            "data.temperature = 5.0: makes weights, and data.train gives some already; "
            'list the folders alone: data.train=\'["shards/a", "shards/b"]\'',
        ),
        (
            ["data.packing=best_fit", "data.augmentation.drop=0.1"],
            "data.packing = 'best_fit': keeps documents in one piece, "
            "which data.augmentation does not; use one of the two",
        ),
        (
            ["objective.kind=denoising", "data.document_borders=true"],
            "data.document_borders = True: does not go with objective.kind=denoising, "
            "which takes a row as one text; leave it out",
        ),
        (
            ["objective.kind=autoencoder"],
            "model.bottleneck_length = 0: objective.kind = autoencoder needs a code; "
            "set it to its vectors for a row, or model.encoder_layers for two stacks",
        ),
        (
            ["model.bottleneck_length=8"],
            "model.bottleneck_length = 8: objective.kind = causal needs 0; leave it out",
        ),
        (
            ["objective.kind=autoencoder", "model.bottleneck_length=8", "pipeline_stages=5"],
            "pipeline_stages = 5: is more than model.layers = 2 and those behind the code; "
            "use at most 4",
        ),
        (
            ["objective.kind=autoencoder", "model.bottleneck_length=8", "model.output=vectors"],
            "model.output = 'vectors': objective.kind = autoencoder needs 'scores'; leave it out",
        ),
        (
            ["model.block=lstm", "model.heads=null", "data.document_borders=true"],
            "data.document_borders = True: is not possible with model.block = 'lstm', "
            "whose memory goes on; leave it out",
        ),
        (
            ["model.block=gru", "model.heads=null", "compile=true"],
            "compile = True: compiles blocks of attention, and these are recurrent; leave it out",
        ),
        (
            ["sequence_parallel=2", "compile=true"],
            "compile = True: compiles blocks without sequence_parallel = 2; leave out one",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_reported(words: list[str], line: str) -> None:
    (problem,) = check_run(made(*words))
    assert str(problem).startswith(line)


def test_settings_survive_being_written_and_read() -> None:
    config = made("data.validation=v", "patience=3", "data.augmentation.drop=0.1")
    values: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    assert parse(RunConfig, values) == config
