"""Every file in ds_configs, loaded and stepped on two CPU ranks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.launching import launch
from helpers.paths import ROOT

pytestmark = pytest.mark.ranks

CONFIGS = sorted((ROOT / "ds_configs").glob("*.json"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_of_the_project_trains(path: Path, tmp_path: Path, words: list[str]) -> None:
    stages = 2 if path.stem.startswith("pipeline") else 1
    words = [*words, "steps=2", f"pipeline_stages={stages}"]
    ended = launch(tmp_path / "run", words, json.loads(path.read_text()), 2)
    for name, found in {"fp16": "fp16.enabled = True", "lamb": "optimizer.type = 'Lamb'"}.items():
        if name in path.stem:
            assert ended.code == 2
            assert f"{found}: runs on a GPU only" in ended.messages
            return
    assert ended.code == 0, ended.messages
    first, second = ended.metrics()
    assert second != first
