"""Curves for other programs. Without W&B's package its own test is passed over."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from dslm.run.config import RunConfig
from dslm.run.metrics import Metrics
from dslm.run.settings import settings
from dslm.train import boards


def config(*words: str) -> RunConfig:
    return settings(["tiny", "data.train=shards", "run=runs/a", *words], None)


def test_wandb_keeps_every_number_in_the_run_and_connects_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = tmp_path / "run"
    run.mkdir()
    wanted = boards.boards(config("wandb=true"), run, {"seed": 1234567})
    with Metrics(run / "metrics.jsonl", 0, wanted) as metrics:
        metrics.write({"step": 17, "loss": 2.5, "gradient_norm": None})
    (folder,) = (run / "wandb").glob("offline-run-*")
    (file,) = folder.glob("*.wandb")
    content = file.read_bytes()
    assert all(part in content for part in (b"loss", b"2.5", b"17", b"1234567"))
    assert b"gradient_norm" not in content


@pytest.mark.parametrize("key", boards.PACKAGES)
def test_a_package_that_is_not_installed_is_missed_before_the_start(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(boards, "version", missing)
    assert boards.check_boards(config()) == []
    (problem,) = boards.check_boards(config(f"{key}=true"))
    assert str(problem).startswith(f"{key} = True: needs the package {key}")
    assert f"pip install 'dslm[{key}]'" in str(problem)
