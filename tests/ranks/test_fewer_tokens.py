"""What makes the loss fall in fewer tokens changes it alike at every layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

from dslm.run.presets import gpt2_small, gpt2_small_fast

pytestmark = pytest.mark.ranks

Layout = tuple[int, int, list[str]]
"""Ranks, ZeRO stage and settings."""
LAYOUTS: dict[str, Layout] = {
    "ZeRO-2": (2, 2, []),
    "ZeRO-3": (2, 3, []),
    "pipeline": (2, 1, ["pipeline_stages=2"]),
    "tensor": (2, 1, ["tensor_parallel=2"]),
    "sequence": (2, 1, ["sequence_parallel=2"]),
}
MUON = {
    "optimizer": {"type": "Muon", "params": {"lr": 1e-2, "weight_decay": 0.1, "torch_adam": True}},
    "gradient_clipping": 0.0,
}


@pytest.fixture(scope="module")
def fast(words: list[str]) -> list[str]:
    """What the preset changes of GPT-2."""
    plain, changed = gpt2_small(), gpt2_small_fast()
    values = {key: v for key, v in changed["model"].items() if plain["model"].get(key) != v}
    model = [f"model.{key}={json.dumps(value)}" for key, value in values.items()]
    schedule = [f"schedule.{key}={value}" for key, value in changed["schedule"].items()]
    assert len(model) == 4
    return [*words, *model, *schedule, "steps=12"]


def train(folder: Path, words: list[str], layout: Layout, muon: bool) -> Ended:
    ranks, stage, more = layout
    config = deepspeed(stage, **(MUON if muon else {}))
    ended = launch(folder, [*words, *more], config, ranks)
    assert ended.code == 0, ended.messages
    return ended


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory, fast: list[str]) -> dict[bool, Ended]:
    """One rank, with and without Muon."""
    folder = tmp_path_factory.mktemp("references")
    return {muon: train(folder / f"{muon}", fast, (1, 0, []), muon) for muon in (False, True)}


@pytest.mark.parametrize(
    ("layout", "muon"), [*((layout, False) for layout in LAYOUTS), ("ZeRO-2", True)]
)
def test_the_losses_are_those_of_one_rank(
    layout: str, muon: bool, references: dict[bool, Ended], fast: list[str], tmp_path: Path
) -> None:
    losses = train(tmp_path / "run", fast, LAYOUTS[layout], muon).metrics()
    known = references[muon].metrics()
    assert losses[0] == pytest.approx(known[0], rel=1e-6)
    assert losses == pytest.approx(known, rel=1e-4)
    assert known[-1] < known[0] - 0.3


def test_precision_and_rounding_go_with_it(fast: list[str], tmp_path: Path) -> None:
    half = {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
    words = {"bf16_autocast": ["precision=bf16_autocast"], "w8a8": ["quantization.scheme=w8a8"]}
    runs = [
        launch(tmp_path / name, [*fast, *more], deepspeed(1), 1) for name, more in words.items()
    ]
    runs.append(launch(tmp_path / "bf16", fast, deepspeed(1, **half), 1))
    for run in runs:
        assert run.code == 0, run.messages
        assert run.metrics()[-1] < run.metrics()[0] - 0.3
