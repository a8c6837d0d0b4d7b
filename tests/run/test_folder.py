from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dslm.run.folder import RunFolder, check_folder
from dslm.run.settings import settings

DATA: dict[str, Any] = {"train": []}


def resolved(*words: str) -> dict[str, Any]:
    return asdict(settings(["tiny", "run=run", "data.train=shards", *words], None))


def begun(folder: Path, config: dict[str, Any]) -> RunFolder:
    """A folder in which a run with these settings began."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"format": 1, "config": config, "data": DATA}))
    return RunFolder(folder)


def changed(folder: RunFolder, *words: str) -> list[str]:
    problems = check_folder(folder, resolved(*words), DATA, fresh=False)
    return [problem.where for problem in problems]


def test_a_run_goes_on_with_its_own_settings(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", resolved())
    assert changed(folder) == []
    assert changed(folder, "steps=900", "log_interval=7") == []


def test_settings_that_decide_what_is_learned_may_not_change(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", resolved())
    assert changed(folder, "model.width=64", "seed=3") == ["model.width", "seed"]
    assert changed(folder, "data.document_borders=true") == ["data.document_borders"]


def test_a_run_of_a_version_without_a_setting_had_its_default(tmp_path: Path) -> None:
    config = resolved()
    for key in ("attention", "segments", "transform"):
        del config["model"][key]
    del config["objective"]["masked"], config["data"]["document_borders"]
    folder = begun(tmp_path / "run", config)
    assert changed(folder) == []
    assert changed(folder, "data.document_borders=true") == ["data.document_borders"]
