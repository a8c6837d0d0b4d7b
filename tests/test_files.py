from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dslm import files
from dslm.files import file_sha256, write_json, write_text


def test_a_hash_is_that_of_the_bytes_and_tells_how_many_it_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", 1000)
    content = bytes(range(256)) * 10
    (tmp_path / "file").write_bytes(content)
    blocks: list[int] = []
    assert file_sha256(tmp_path / "file", blocks.append) == hashlib.sha256(content).hexdigest()
    assert blocks == [1000, 1000, 560]


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": "before"})
    write_json(path, {"a": "Grüße"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "Grüße"}
    assert "Grüße" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_could_not_be_written_is_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_text(path, "before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
