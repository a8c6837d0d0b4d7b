"""``dslm status``: the word that a batch script reads is true also of a run that was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dslm.commands.cli import run
from dslm.commands.status import main

BEAT = {"time": "2026-01-01T00:00:00+00:00", "step": 7, "phase": "training"}


def write(folder: Path, status: str, ended: str | None) -> None:
    record = {"format": 1, "status": status, "ended": ended, "heartbeat": BEAT, "config": {}}
    (folder / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("status", "ended", "line"),
    [
        (
            "running",
            None,
            "crashed · step 7 · training, last heard of at 2026-01-01T00:00:00+00:00",
        ),
        ("preempted", "stopped after step 9", "preempted · step 9 · stopped after step 9"),
        ("done", "all 9 steps made", "done · step 9 · all 9 steps made"),
    ],
)
def test_the_first_word_says_how_a_run_stands(
    status: str, ended: str | None, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, status, ended)
    (tmp_path / "checkpoints" / "step-00000009").mkdir(parents=True)
    main([str(tmp_path)])
    assert capsys.readouterr().out == f"{line}\n"


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [
        ("preempted", ["preempted"], 0),
        ("preempted", ["done"], 1),
        ("preempted", ["done", "preempted"], 0),
        ("running", ["running"], 1),
        ("running", ["crashed"], 0),
        ("done", ["don"], 2),
    ],
)
def test_the_exit_code_says_whether_a_run_stands_as_expected(
    status: str, expected: list[str], code: int, tmp_path: Path
) -> None:
    write(tmp_path, status, None)
    options = [word for name in expected for word in ("--expect", name)]
    assert run(main, [str(tmp_path), *options]) == code
