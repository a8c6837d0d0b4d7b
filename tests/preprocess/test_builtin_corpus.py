from __future__ import annotations

import json
from pathlib import Path

import pytest

from dslm.errors import DataError, SetupError
from dslm.preprocess import builtin_corpus
from dslm.preprocess.builtin_corpus import gather, split


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small library in place of the real one."""
    folder = tmp_path / "library"
    for number in range(200):
        path = folder / "package" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""Module {number}."""\n')
    for name in ("site-packages/a.py", "test/b.py", "package/tests/c.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("skipped")
    (folder / "package/broken.py").write_bytes(b"\xff")
    (folder / "package/old.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe4\n")
    monkeypatch.setattr(builtin_corpus, "_library", lambda: folder)
    monkeypatch.setattr(builtin_corpus, "_topics", lambda: {"while": "The while statement"})
    return folder


def test_every_document_is_in_one_split(tmp_path: Path, library: Path) -> None:
    corpus, made = gather(tmp_path / "corpus")
    files = {path.name for path in (tmp_path / "corpus").glob("*.txt")}
    names = {name.partition("-")[2] for name in files}
    assert made
    assert len(files) == len(names) == sum(corpus.documents.values()) == 202
    assert "topic.while.txt" in names
    assert corpus.documents["train"] > 150
    assert sum(corpus.bytes.values()) == sum(
        path.stat().st_size for path in (tmp_path / "corpus").glob("*.txt")
    )


def test_sources_are_read_in_the_encoding_they_declare(tmp_path: Path, library: Path) -> None:
    gather(tmp_path / "corpus")
    (old,) = (tmp_path / "corpus").glob("*-package.old.txt")
    assert "ä" in old.read_text(encoding="utf-8")


def test_the_split_depends_on_the_name_alone() -> None:
    names = [f"package.module{number}" for number in range(4000)]
    parts = [split(name) for name in names]
    assert parts == [split(name) for name in names]
    assert 3500 < parts.count("train") < 3700
    assert 140 < parts.count("validation") < 260
    assert 140 < parts.count("test") < 260


def test_a_corpus_already_there_is_found(tmp_path: Path, library: Path) -> None:
    first, _ = gather(tmp_path / "corpus")
    assert gather(tmp_path / "corpus") == (first, False)


def test_a_corpus_of_another_python_is_refused(tmp_path: Path, library: Path) -> None:
    gather(tmp_path / "corpus")
    card = tmp_path / "corpus" / "corpus.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "python": "2.7"}))
    with pytest.raises(DataError, match=r"corpus of Python 2\.7"):
        gather(tmp_path / "corpus")


def test_an_interpreter_without_sources_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin_corpus, "_library", lambda: tmp_path / "nothing")
    monkeypatch.setattr(builtin_corpus, "_topics", dict)
    with pytest.raises(SetupError, match="holds no sources"):
        gather(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_this_interpreter_brings_enough_text() -> None:
    assert 4e6 < builtin_corpus.size() < 40e6
