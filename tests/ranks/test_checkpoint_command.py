"""``dslm checkpoint`` on what real ranks have written, and a run that goes on after a prune."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

from dslm.commands.checkpoint import main
from dslm.commands.cli import run
from dslm.run.checkpoint import checkpoint_folder, checkpoints, read_weights

pytestmark = pytest.mark.ranks


def test_a_pipelines_checkpoints_are_listed_verified_shown_compared_and_pruned(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    several = [*words, "steps=3", "checkpoint_interval=1", "pipeline_stages=2"]
    assert launch(folder, several, deepspeed(1), ranks=2).code == 0

    def record(verb: str, *more: str) -> Any:
        capsys.readouterr()
        assert run(main, [verb, str(folder), *more, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    listed = record("list")
    assert [one["step"] for one in listed["checkpoints"]] == [3, 2, 1]
    newest = listed["checkpoints"][0]
    assert (newest["layout"]["world"], newest["layout"]["pipeline_stages"]) == (2, 2)
    assert newest["loss"]["step"] == 3
    assert record("verify")["newest_whole"] == 3

    weights = read_weights(checkpoint_folder(folder / "checkpoints", 3))
    shown = {one["name"]: one for one in record("show")["tensors"]}
    moments = {f"{name}#{kind}" for name in weights for kind in ("exp_avg", "exp_avg_sq")}
    assert shown.keys() == weights.keys() | moments
    for name, weight in weights.items():
        assert shown[name]["shape"] == list(weight.shape)
        assert shown[name]["norm"] == pytest.approx(weight.double().norm().item(), rel=1e-9)
        assert shown[name]["mean"] == pytest.approx(weight.double().mean().item(), abs=1e-9)

    before = read_weights(checkpoint_folder(folder / "checkpoints", 2))
    for one in record("diff")["tensors"]:
        if one["name"] in weights:
            old, new = (found[one["name"]].double() for found in (before, weights))
            assert one["relative"] == pytest.approx(((new - old).norm() / old.norm()).item())

    assert run(main, ["prune", str(folder), "--keep", "1"]) == 0
    assert [step for step, _ in checkpoints(folder / "checkpoints")] == [3]
    again = launch(folder, [*words, "steps=4"], deepspeed(2), ranks=1)
    assert again.code == 0, again.messages
    assert len(again.metrics()) == 4
