"""``dslm status``: the word that a batch script reads is true also of a run that was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dslm.commands.status import main

BEAT = {"time": "2026-01-01T00:00:00+00:00", "step": 7, "phase": "training"}


@pytest.mark.parametrize(
    ("status", "ended", "word"),
    [("running", None, "crashed"), ("preempted", "stopped", "preempted"), ("done", "ok", "done")],
)
def test_the_first_word_says_how_a_run_stands(
    status: str, ended: str | None, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"format": 1, "status": status, "ended": ended, "heartbeat": BEAT, "config": {}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    main([str(tmp_path)])
    line = capsys.readouterr().out
    assert line.split()[0] == word
    assert "step 7 · training, last heard of at 2026-01-01" in line
