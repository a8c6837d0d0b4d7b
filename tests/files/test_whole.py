from __future__ import annotations

import json
from pathlib import Path

import pytest

from dslm.files import whole as files
from dslm.files.whole import appearing, beside, write_json, write_text


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


def test_two_that_write_the_same_file_at_once_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [beside(tmp_path / "file")]
    monkeypatch.setattr(files.os, "getpid", lambda: 1)
    names.append(beside(tmp_path / "file"))
    monkeypatch.setattr(files.socket, "gethostname", lambda: "another")
    names.append(beside(tmp_path / "file"))
    assert len(set(names)) == 3
    assert all(name.parent == tmp_path and name.name.startswith(".file.") for name in names)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with appearing(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"


def test_a_file_that_is_not_whole_does_not_appear(tmp_path: Path) -> None:
    def write_half() -> None:
        with appearing(tmp_path / "file") as partial:
            partial.write_text("ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert not list(tmp_path.iterdir())
