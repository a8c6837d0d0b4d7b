"""``dslm submit``: a run is checked as the job itself will, and only then given to SLURM."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from helpers.deepspeed_json import MODEL
from helpers.paths import ROOT

from dslm.commands.cli import run
from dslm.commands.submit import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def words(shard_set: Path, deepspeed_file: Path, tmp_path: Path) -> list[str]:
    """A run that is right, with a space in its folder's name."""
    files = ["--deepspeed_config", str(deepspeed_file), f"data.train={shard_set}"]
    return ["tiny", *MODEL, *files, f"run={tmp_path}/a run", "lr=3e-4", "ds.bf16.enabled=true"]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for SLURM's; returns the file of the words that it was called with."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    text = f'#!/bin/sh\nprintf "%s\\n" "$@" >{calls}\necho "17;cluster"\n'
    (folder / "sbatch").write_text(text)
    (folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return calls


def test_a_right_run_is_submitted_and_the_number_of_its_job_printed(
    words: list[str], sbatch: Path, tmp_path: Path, capsys: Captured
) -> None:
    log = str(tmp_path / "%j.log")
    assert run(main, ["--nodes", "2", "--ranks", "4", "--log", log, *words]) == 0
    assert capsys.readouterr().out == "17\n"
    called = sbatch.read_text().splitlines()
    options = ["--parsable", "--nodes=2", "--ntasks-per-node=4", f"--output={log}"]
    assert called[:5] == [*options, "launch/pretrain.sbatch"]
    assert sorted(called[5:]) == sorted(words)


def test_a_dry_run_prints_the_line_and_submits_nothing(
    words: list[str], sbatch: Path, capsys: Captured
) -> None:
    assert run(main, ["--dry-run", "--time", "2-0", *words]) == 0
    typed = shlex.split(capsys.readouterr().out)
    assert typed[:5] == [
        *("sbatch", "--parsable", "--nodes=1", "--ntasks-per-node=1", "--time=2-0"),
    ]
    assert words[-1] in typed
    assert not sbatch.exists()


def test_all_mistakes_are_reported_at_once_and_nothing_is_submitted(
    words: list[str], sbatch: Path, capsys: Captured
) -> None:
    wrong = [word for word in words if not word.startswith("run=")]
    options = ["--nodes", "2", "--ranks", "3", "--time", "soon", "model.layrs=2"]
    assert run(main, [*options, *wrong]) == 2
    errors = capsys.readouterr().err
    assert "error: --time = 'soon': is no time limit" in errors
    assert "error: run: is missing" in errors
    assert "did you mean 'model.layers'?" in errors
    assert not sbatch.exists()


def test_settings_are_checked_for_the_ranks_of_the_job(
    words: list[str], sbatch: Path, capsys: Captured
) -> None:
    assert run(main, ["--nodes", "2", "--ranks", "3", *words]) == 2
    assert "error: train_batch_size = 16: is not a multiple" in capsys.readouterr().err
    assert not sbatch.exists()


def test_a_job_after_another_need_not_have_its_data_yet(
    words: list[str], sbatch: Path, tmp_path: Path
) -> None:
    later = [word for word in words if not word.startswith("data.train=")]
    later.append(f"data.train={tmp_path}/not-yet")
    assert run(main, later) == 2
    assert run(main, ["--after", "16", *later]) == 0
    assert "--dependency=afterok:16" in sbatch.read_text().splitlines()


def test_without_slurm_it_says_so(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(main, words) == 2
    assert "error: sbatch: cannot be run" in capsys.readouterr().err
