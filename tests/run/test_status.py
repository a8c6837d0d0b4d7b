"""The status of a run is a word; sentences that earlier versions wrote are still understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dslm.run.folder import RunFolder


@pytest.mark.parametrize(
    ("written", "status", "ended"),
    [
        ("running", "running", None),
        ("all 300 steps made", "done", "all 300 steps made"),
        ("failed: the loss is nan", "failed", "the loss is nan"),
        ("interrupted", "failed", "interrupted"),
        ("imported from here", "done", "imported from here"),
    ],
)
def test_a_run_json_with_a_sentence_as_its_status_is_read(
    written: str, status: str, ended: str | None, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format": 1, "status": written}))
    record = RunFolder(tmp_path).read()
    assert (record["status"], record.get("ended")) == (status, ended)


@pytest.mark.parametrize("status", ["running", "preempted", "done", "failed"])
def test_a_word_and_a_sentence_are_read_as_they_are(status: str, tmp_path: Path) -> None:
    facts = {"format": 1, "status": status, "ended": "a sentence", "config": {}}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    assert RunFolder(tmp_path).read() == facts
