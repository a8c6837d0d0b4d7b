from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

from dslm.commands import builtin_corpus, shard, train_tokenizer
from dslm.commands.cli import run
from dslm.commands.text_options import size
from dslm.shards.shard_set import ShardSet


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with some text."""
    (tmp_path / "corpus").mkdir()
    for number in range(4):
        text = f"the river number {number} falls over a stone\n" * 100
        (tmp_path / "corpus" / f"train{number}.txt").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_tokenizer(*more: str) -> int:
    arguments = ["--input", "corpus/*.txt", "--model-type", "char", "--output", "tok", *more]
    return run(train_tokenizer.main, arguments)


def make_shards(*more: str) -> int:
    arguments = ["--input", "corpus/*.txt", "--tokenizer", "tok", "--output", "shards/train"]
    return run(shard.main, [*arguments, *more])


def test_the_scripts_make_a_shard_set_by_their_contract(folder: Path) -> None:
    for line in (
        "train_tokenizer.py --input corpus/*.txt --model-type unigram --vocab-size 284"
        " --output tok",
        "shard.py --input corpus/train*.txt --tokenizer tok --output shards/train --workers 2"
        " --shard-size 4KB",
    ):
        script, *arguments = line.split()
        command = [sys.executable, str(ROOT / "preprocess" / script), *arguments]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == 0, done.stderr
        assert "next:\n  " in done.stdout
    assert ShardSet.open("shards/train").documents == 4


def test_the_next_command_reads_the_same_text(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("corpus/a b.csv").write_text("id|body\n" + "1|the river falls\n" * 9)
    words = ["--input", "corpus/a b.csv", "--delimiter", "|", "--text-key", "body"]
    assert run(train_tokenizer.main, [*words, "--model-type", "char", "--output", "tok"]) == 0
    script, *words = shlex.split(capsys.readouterr().out.splitlines()[-1])[1:]
    assert script == "preprocess/shard.py"
    assert run(shard.main, words) == 0
    assert ShardSet.open("shards/train").documents == 9


def test_results_are_on_standard_output_and_name_the_next_step(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_tokenizer() == 0
    assert "char, 21 ids, no special tokens" in capsys.readouterr().out
    assert make_shards() == 0
    reported = capsys.readouterr().out
    assert reported.startswith("shards/train in ")
    assert "  4 documents, 8 sentences, 15.2k tokens, 1.00 bytes of text a token\n" in reported
    assert "data.train=shards/train" in reported


def test_the_second_time_it_is_already_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        capsys.readouterr()
        assert make_tokenizer() == 0
        assert make_shards() == 0
    assert capsys.readouterr().out.count("(already there)") == 2


def test_documents_that_were_not_whole_are_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "corpus" / "x.txt").write_bytes(b"\xff")
    (folder / "corpus" / "y.txt").touch()
    assert make_tokenizer("--max-bad", "0") == 2
    assert "add --encoding detect, or see --invalid-utf8" in capsys.readouterr().err
    assert make_tokenizer() == 0
    assert "broken: 1 not UTF-8" in capsys.readouterr().out
    assert make_shards("--invalid-utf8", "skip") == 0
    reported = capsys.readouterr().out
    assert "left out: 1 empty, 1 not UTF-8" in reported, reported


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--worker", "2"], "--worker: unknown argument; did you mean '--workers'?"),
        (["--workers", "0"], "--workers = '0': is not a whole number of at least 1"),
        (["--shard-size", "3XB"], "--shard-size = '3XB': is not a size; write one such as 256MB"),
        (["--input", "nothing*.txt"], "nothing*.txt: no such file"),
        (["--delimiter", "ab"], "--delimiter = 'ab': is not one character"),
        (["--quote", ","], "--quote = ',': stands between cells already"),
        (["--tokenizer", "nothing"], "--tokenizer = 'nothing': there is no such folder or file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reported: str
) -> None:
    assert make_tokenizer() == 0
    assert make_shards(*arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert reported in errors[0]
    assert not (folder / "shards").exists()


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("17B", 17), ("4KB", 4000), ("1.5gb", 1_500_000_000), ("256MB", 256_000_000)],
)
def test_sizes_are_read_with_their_units(text: str, bytes_: int) -> None:
    assert size(text) == bytes_


def test_the_builtin_corpus_prints_its_splits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslm.preprocess.builtin_corpus._sources", lambda: [])
    topics = {f"topic{number}": "text" for number in range(300)}
    monkeypatch.setattr("dslm.preprocess.builtin_corpus._topics", lambda: topics)
    assert run(builtin_corpus.main, ["--output", str(tmp_path / "corpus")]) == 0
    reported = capsys.readouterr().out
    assert [part for part in ("train:", "validation:", "test:") if part in reported] == [
        "train:",
        "validation:",
        "test:",
    ]
