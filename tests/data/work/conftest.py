"""A work folder that has been begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslm.data.work.folder import WorkFolder

PLAN = {
    "inputs": [["a.jsonl", "10@1"], ["b.jsonl", "20@2"]],
    "settings": {"shard_size": 300, "reading": {"text_key": "text", "documents": "file"}},
    "tokenizer": "1" * 64,
    "made_with": {"numpy": "2.0"},
}


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    folder = WorkFolder.beside(tmp_path / "set")
    with folder.joined(PLAN):
        return folder
