"""What rounding costs is what `evaluate` says of each model, and of one layer rounded by hand."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.untrained import learned_run, untrained_run

from dslm.commands import quantization as command
from dslm.commands.cli import run
from dslm.inference.comparison import in_turns
from dslm.inference.evaluate import evaluate
from dslm.inference.selection import Calibration
from dslm.inference.trained import load
from dslm.quantization.config import QuantizationConfig
from dslm.quantization.rounding import rounded
from dslm.run.folder import RunFolder
from dslm.shards.shard_set import ShardSet

W2 = QuantizationConfig(scheme="w2", group_size=16)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: Any, shard_set: Path, deepspeed_file: Path) -> dict[str, Path]:
    """A float run, and one that was trained for 2 bits from there."""
    folder = tmp_path_factory.mktemp("runs")
    floats = learned_run(folder / "float", shard_set, deepspeed_file)
    more = [f"init_from={floats}", "quantization.scheme=w2", "quantization.group_size=16"]
    return {"float": floats, "w2": learned_run(folder / "w2", shard_set, deepspeed_file, *more)}


@pytest.fixture
def asked(shard_set: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command says: ``asked(run, options …)``."""

    def ask(folder: Path, *more: str) -> tuple[int, str]:
        words = [str(folder), "--data", str(shard_set), "--rows", "40", *more]
        code = run(command.main, words)
        printed = capsys.readouterr()
        return code, printed.err if code else printed.out

    return ask


def test_each_model_is_measured_as_evaluate_does(
    runs: dict[str, Path], shard_set: Path, asked: Any
) -> None:
    more = ["--calibrate", str(shard_set), "--calibration-rows", "32"]
    code, printed = asked(runs["w2"], "--json", *more)
    assert code == 0
    found, shards = json.loads(printed), ShardSet.open(shard_set)
    expected = {
        "float": load(runs["float"]),
        "nearest": load(runs["float"], None, W2),
        "calibrated": load(runs["float"], None, W2, Calibration(shards, 32)),
        "trained": load(runs["w2"]),
    }
    losses = {model["kind"]: model["loss"] for model in found["models"]}
    assert losses == {kind: evaluate(model, shards).loss for kind, model in expected.items()}
    assert len(set(losses.values())) == 4
    perplexities = [model["perplexity"] for model in found["models"]]
    assert perplexities == [evaluate(m, shards).perplexity for m in expected.values()]
    assert all(model["tokens_per_second"] > 0 for model in found["models"])
    assert found["calibration"] == {"data": str(shard_set), "rows": 32}
    assert RunFolder(runs["w2"]).read_quantization() == found
    # Two blocks of maps 32 wide: 2 bits, and a step of 16 bits for each 16.
    weights = 2 * (3 + 1 + 4 + 4) * 32 * 32
    everything = 4 * sum(weight.numel() for weight in expected["float"].model.parameters())
    assert [model["map_bytes"] for model in found["models"]] == [
        4 * weights,
        *[weights * 3 // 8] * 3,
    ]
    assert [model["bytes"] for model in found["models"]] == [
        everything,
        *[everything - 4 * weights + weights * 3 // 8] * 3,
    ]


def test_a_layer_is_as_sensitive_as_rounding_it_by_hand_shows(
    runs: dict[str, Path], shard_set: Path, asked: Any
) -> None:
    code, printed = asked(runs["float"], "--json", "--scheme", "w2", "--group-size", "16")
    assert code == 0
    found, shards = json.loads(printed)["sensitivity"], ShardSet.open(shard_set)
    trained = load(runs["float"])
    floats = evaluate(trained, shards, rows=40).loss
    assert len(found) == 8
    for name, change in found.items():
        weight = trained.model.get_parameter(f"layers.{name}.weight")
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.copy_(rounded(weight, 2, 16, storable=True))
            assert evaluate(trained, shards, rows=40).loss - floats == pytest.approx(
                change, abs=1e-7
            )
            weight.copy_(kept)
    assert max(map(abs, found.values())) > 1e-4


def test_the_table_says_what_was_found_and_what_to_type_next(
    runs: dict[str, Path], asked: Any
) -> None:
    code, printed = asked(runs["w2"])
    assert code == 0
    head, *rows = printed.splitlines()
    assert head.split()[:2] == ["model", "loss"]
    assert [row.split("  ")[0] for row in rows[:3]] == [
        "float",
        "rounded after training",
        "trained rounded",
    ]
    assert "Rounded to w2 after training, the loss is" in printed
    assert "2.attention.project" in printed
    assert f"python launch/report.py {runs['w2']}" in printed


def test_what_was_measured_is_shown_though_it_cannot_be_written(
    runs: dict[str, Path],
    shard_set: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: RunFolder, found: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunFolder, "write_quantization", full)
    words = [str(runs["w2"]), "--data", str(shard_set), "--rows", "1"]
    assert run(command.main, words) == 2
    printed = capsys.readouterr()
    assert "Rounded to w2 after training, the loss is" in printed.out
    assert "quantization.json: cannot be written: No space left on device" in printed.err


@pytest.mark.parametrize(
    ("which", "more", "said"),
    [
        ("float", [], "was trained as floats: rounded to what?; give one, such as w4"),
        ("float", ["--scheme", "none"], "rounded to what?"),
        ("float", ["--scheme", "w2", "--float", "OTHER"], "was trained as floats itself"),
        ("w2", ["--scheme", "w4"], "was trained with w2; leave it out"),
        ("w2", ["--float", "OTHER"], "is of another shape than"),
        ("w2", ["--float", "nowhere"], "nowhere: is not the folder of a run"),
        ("w2", ["--calibrate", "STRANGE"], "was made with another tokenizer"),
        ("w2", ["--rows", "0"], "--rows = 0: must be at least 1"),
        ("w2", ["--float", "ROUNDED"], "was trained with w2 itself; name a run trained as floats"),
        ("scratch", [], "began with none; name the float run to compare it with"),
    ],
)
def test_a_mistake_is_reported_with_its_fix(
    which: str,
    more: list[str],
    said: str,
    runs: dict[str, Path],
    shard_set: Path,
    deepspeed_file: Path,
    tmp_path: Path,
    make_shards: Any,
    asked: Any,
) -> None:
    folder = runs.get(which)
    if folder is None:
        words = ["quantization.scheme=w2", "quantization.group_size=16"]
        folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file, *words)
    other = untrained_run(tmp_path / "other", shard_set, deepspeed_file)
    names = {"OTHER": other, "ROUNDED": runs["w2"]}
    if "STRANGE" in more:
        names["STRANGE"] = make_shards("another alphabet " * 40)
    code, printed = asked(folder, *(str(names.get(word, word)) for word in more))
    assert code == 2
    assert said in printed


def test_speeds_are_taken_in_turns_and_the_fastest_counts() -> None:
    taken = []
    speeds = {"float": iter([1.0, 5.0, 2.0]), "nearest": iter([4.0, 3.0, 1.0])}

    def take(kind: str) -> float:
        taken.append(kind)
        return next(speeds[kind])

    found = in_turns({"float": lambda: take("float"), "nearest": lambda: take("nearest")}, 3)
    assert found == {"float": 5.0, "nearest": 4.0}
    assert taken == ["float", "nearest"] * 3
