"""A model is rounded for the text it is shown: its layers in turn, each for what it will get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.untrained import learned_run

from dslm.commands import evaluate as evaluate_command
from dslm.commands.cli import run
from dslm.inference.evaluate import evaluate
from dslm.inference.selection import Calibration
from dslm.inference.trained import Trained, load
from dslm.model.layers import Linear, Table
from dslm.model.quantize import rounding, stored_numbers
from dslm.quantization.config import QuantizationConfig
from dslm.quantization.error_feedback import error_feedback
from dslm.quantization.rounding import SettledQuantizer, rounded, steps_and_levels
from dslm.shards.shard_set import ShardSet
from dslm.train.batches import evaluation_rows, evenly


@pytest.fixture(scope="module")
def causal(tmp_path_factory: Any, shard_set: Path, deepspeed_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "causal"
    return learned_run(folder, shard_set, deepspeed_file, "model.tied=false")


def loaded(folder: Path, shards: Path, calibrated: bool, **how: Any) -> Trained:
    quantization = QuantizationConfig(group_size=16, **how) if how else QuantizationConfig()
    calibration = Calibration(ShardSet.open(shards), 64) if calibrated else None
    return load(folder, None, quantization, calibration, to_use=False)


def scores(trained: Trained, shards: ShardSet) -> torch.Tensor:
    """What a model makes of a hundred rows."""
    source, make = evaluation_rows(shards, trained.objective), trained.objective.held_out()["loss"]
    with torch.no_grad():
        found = [trained.model(make(samples)[0]) for samples in evenly(source, 100)]
    return torch.cat([one if isinstance(one, torch.Tensor) else one[0] for one in found])


def error(folder: Path, shards: ShardSet, calibrated: bool, **how: Any) -> float:
    """How far rounding moves scores, squared."""
    floats = scores(loaded(folder, shards.folder, False), shards)
    return float(
        (scores(loaded(folder, shards.folder, calibrated, **how), shards) - floats).square().mean()
    )


@pytest.mark.parametrize("scheme", ["w4a8", "w3", "w2"])
@pytest.mark.parametrize("layers", ["blocks", "linear"])
def test_scores_move_less_than_by_rounding_to_nearest(
    scheme: Any, layers: Any, causal: Path, shard_set: Path
) -> None:
    shards, how = ShardSet.open(shard_set), {"scheme": scheme, "layers": layers}
    nearest, calibrated = (error(causal, shards, each, **how) for each in (False, True))
    assert calibrated < nearest / 2


@pytest.mark.parametrize("layers", ["blocks", "linear", "all"])
def test_weights_lie_on_the_grid_of_the_trained_ones(
    layers: Any, causal: Path, shard_set: Path
) -> None:
    before = loaded(causal, shard_set, False, scheme="w3", layers=layers).model
    after = loaded(causal, shard_set, True, scheme="w3", layers=layers).model
    assert rounding(after) == rounding(before)
    moved = 0
    for name in rounding(before):
        layer = after.get_submodule(name)
        assert isinstance(layer, (Linear, Table))
        steps, levels = stored_numbers(after, name)
        expected, nearest = stored_numbers(before, name)
        assert torch.equal(steps, expected)
        if isinstance(layer, Linear):
            assert torch.equal((levels * steps).view_as(layer.weight), layer.weight)
            assert isinstance(layer.quantizer, SettledQuantizer)
            moved += int((levels != nearest).sum())
        else:
            assert torch.equal(levels, nearest), "an embedding is rounded to nearest"
    assert moved > 100


def test_a_layer_is_rounded_for_what_rounded_ones_before_give_it(
    causal: Path, shard_set: Path
) -> None:
    """The second block's inputs, caught in a model whose first block is that of the result."""
    after = loaded(causal, shard_set, True, scheme="w4a8").model
    trained = loaded(causal, shard_set, False)
    blocks = ["layers.2.", "layers.3."]
    seen: dict[str, list[torch.Tensor]] = {}

    def catch(name: str, inputs: torch.Tensor) -> torch.Tensor:
        made = rounded(inputs, 8, None, storable=False)
        seen.setdefault(name, []).append(made.flatten(0, -2))
        return made

    for name, layer in trained.model.named_modules():
        if isinstance(layer, Linear) and name.startswith(tuple(blocks)):
            layer.register_forward_pre_hook(lambda _, args, name=name: catch(name, args[0]))
            if name.startswith(blocks[0]):
                layer.weight.data.copy_(after.get_submodule(name).weight)
    source = evaluation_rows(ShardSet.open(shard_set), trained.objective)
    with torch.no_grad():
        for samples in evenly(source, 64):
            trained.model(trained.objective.batch(samples)[0])
    maps = [name for name in seen if name.startswith(blocks[1])]
    assert len(maps) == 4
    for name in maps:
        inputs, weight = torch.cat(seen[name]), trained.model.get_parameter(f"{name}.weight")
        steps, _ = steps_and_levels(weight, 4, 16, storable=True)
        expected = error_feedback(weight, inputs.T @ inputs, steps, 4)
        assert torch.equal(stored_numbers(after, name)[1], expected.to(torch.int8))


def test_a_masked_model_is_calibrated_too(
    tmp_path: Path, text_shards: ShardSet, deepspeed_file: Path
) -> None:
    shards = text_shards.folder
    folder = learned_run(tmp_path / "run", shards, deepspeed_file, preset="bert_tiny")
    nearest, calibrated = (error(folder, text_shards, each, scheme="w3") for each in (False, True))
    assert calibrated < nearest / 2


def test_the_option_calibrates_and_what_is_used_is_what_was_rounded(
    causal: Path, shard_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(causal), "--data", str(shard_set), "--json", "--scheme", "w8a8"]
    more = ["--calibrate", str(shard_set), "--calibration-rows", "64"]
    found = []
    for given in (words, [*words, *more]):
        assert run(evaluate_command.main, given) == 0
        found.append(json.loads(capsys.readouterr().out)["loss"])
    slow = loaded(causal, shard_set, True, scheme="w8a8")
    assert found[1] == pytest.approx(evaluate(slow, ShardSet.open(shard_set)).loss, abs=1e-4)
    assert found[1] != found[0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--calibrate", "SHARDS"], "nothing is rounded; give --scheme"),
        (
            ["--scheme", "w4", "--calibrate", "SHARDS", "--calibration-rows", "0"],
            "--calibration-rows = 0: must be at least 1",
        ),
        (
            ["--scheme", "w4", "--calibration-rows", "9"],
            "--calibration-rows = 9: means nothing without a shard set; give --calibrate",
        ),
        (["--scheme", "w4", "--calibrate", "OTHER"], "shard the text with --tokenizer"),
        (["--scheme", "w4", "--calibrate", "SHORT"], "is shorter than a row of the model"),
    ],
)
def test_a_mistake_is_reported_with_its_fix(
    more: list[str],
    said: str,
    causal: Path,
    shard_set: Path,
    make_shards: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"SHARDS": shard_set}
    if "OTHER" in more:
        places["OTHER"] = make_shards("another alphabet " * 40)
    if "SHORT" in more:
        places["SHORT"] = make_shards("0123456789 plus is.")
    words = [str(places.get(word, word)) for word in more]
    assert run(evaluate_command.main, [str(causal), "--data", str(shard_set), *words]) == 2
    assert said in capsys.readouterr().err
