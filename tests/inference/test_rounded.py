"""A model is used as it was trained: rounded; or in another scheme, or as floats, when asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from helpers.untrained import untrained_run

from dslm.commands import evaluate as evaluate_command
from dslm.commands.cli import run
from dslm.errors import UserError
from dslm.inference.evaluate import evaluate
from dslm.inference.trained import load
from dslm.quantization.config import QuantizationConfig
from dslm.shards.shard_set import ShardSet

GROUP = "quantization.group_size=16"
W2 = QuantizationConfig(scheme="w2", group_size=16)


def loss(folder: Path, shards: Path, quantization: QuantizationConfig | None = None) -> float:
    return evaluate(load(folder, None, quantization), ShardSet.open(shards)).loss


def test_a_model_is_used_as_it_was_trained(
    tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    folders = {
        name: untrained_run(tmp_path / name, shard_set, deepspeed_file, *more)
        for name, more in {
            "float": [],
            "rounded": ["quantization.scheme=w2", GROUP],
            "later": ["quantization.scheme=w2", GROUP, "quantization.start_step=7"],
        }.items()
    }
    floats = loss(folders["float"], shard_set)
    rounded = loss(folders["float"], shard_set, W2)
    assert floats != rounded
    assert loss(folders["rounded"], shard_set) == rounded
    assert loss(folders["rounded"], shard_set, QuantizationConfig()) == floats
    assert loss(folders["later"], shard_set) == floats, "its 7 steps were made as floats"


def test_the_options_say_so(
    tmp_path: Path, shard_set: Path, deepspeed_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file)
    words = [str(folder), "--data", str(shard_set), "--json"]
    losses = {}
    for more in (
        [],
        ["--scheme", "w2", "--group-size", "8"],
        ["--scheme", "w2", "--group-size", "16"],
    ):
        assert run(evaluate_command.main, [*words, *more]) == 0
        losses[" ".join(more)] = json.loads(capsys.readouterr().out)["loss"]
    assert losses["--scheme w2 --group-size 16"] == loss(folder, shard_set, W2)
    assert len(set(losses.values())) == 3


def test_a_group_that_does_not_fit_is_a_mistake(
    tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file)
    with pytest.raises(UserError, match=r"does not divide model\.width = 16"):
        load(folder, None, QuantizationConfig(scheme="w4", group_size=24))


def test_embeddings_round_where_they_are_chosen(
    tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file)
    trained = load(folder, None, QuantizationConfig(scheme="w4", group_size=16, layers="all"))
    plain = load(folder)
    ids = torch.arange(8)[None]
    first = "0"
    found = trained.model.layers[first](ids)
    assert not torch.equal(found, plain.model.layers[first](ids))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--group-size", "16"], "--group-size = 16: means nothing without a scheme"),
        (["--scheme", "w4", "--group-size", "0"], "--group-size = 0: must be at least 1"),
    ],
)
def test_a_size_of_groups_that_means_nothing_is_a_mistake(
    more: list[str],
    said: str,
    tmp_path: Path,
    shard_set: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(tmp_path), "--data", str(shard_set), *more]
    assert run(evaluate_command.main, words) == 2
    assert said in capsys.readouterr().err
