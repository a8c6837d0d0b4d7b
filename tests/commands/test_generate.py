"""``generate`` from files of prompts, as JSON, to a file, with samples and beams, on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.untrained import untrained_run

from dslm.commands import generate
from dslm.commands.cli import run
from dslm.inference.trained import load
from dslm.run.results import read_samples

PROMPTS = ["1 plus", "2", "17 plus 4 is", "3 is "]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shard_set: Path, deepspeed_file: Path) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    return untrained_run(path, shard_set, deepspeed_file, "model.initialization=0.3")


@pytest.fixture
def ask(folder: Path, capsys: Captured) -> Callable[..., list[dict[str, Any]]]:
    """Runs the command: ``ask("--prompt", "1")`` returns its lines of JSON."""

    def asked(*words: str) -> list[dict[str, Any]]:
        assert run(generate.main, [str(folder), "--max-new-tokens", "30", "--json", *words]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return asked


def lines_of(path: Path, prompts: list[str]) -> str:
    """A file of prompts as JSON lines."""
    path.write_text("".join(json.dumps({"prompt": one, "id": 1}) + "\n" for one in prompts))
    return str(path)


@pytest.mark.parametrize("way", ["--temperature 0", "--samples 2 --seed 4", "--beams 3"])
def test_a_file_gives_what_its_prompts_give_one_by_one(
    way: str, ask: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    file = lines_of(tmp_path / "prompts.jsonl", PROMPTS)
    together = ask("--prompts", file, *way.split())
    single = [line for prompt in PROMPTS for line in ask("--prompt", prompt, *way.split())]
    by_three = ask("--prompts", file, "--batch", "3", *way.split())
    for line, other, alone in zip(together, by_three, single, strict=True):
        score = pytest.approx(line.pop("score", 0), abs=1e-5)
        assert score == other.pop("score", 0)
        assert score == alone.pop("score", 0)
        assert line == other
        assert {**line, "number": 0} == alone
        assert line["text"].startswith(line["prompt"])
    numbers = [(line["number"], line["sample"]) for line in together]
    samples = range(len(together) // len(PROMPTS))
    assert numbers == [(n, sample) for n in range(len(PROMPTS)) for sample in samples]


def test_lines_of_text_are_prompts_too(
    ask: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    (tmp_path / "prompts.txt").write_text("1 plus\r\n2 plus")
    lines = ask("--prompts", str(tmp_path / "prompts.txt"))
    assert [line["prompt"] for line in lines] == ["1 plus", "2 plus"]


def test_log_probabilities_are_those_of_the_model(
    folder: Path, ask: Callable[..., list[dict[str, Any]]]
) -> None:
    words = ["--prompt", "1 plus", "--max-new-tokens", "8", "--seed", "2", "--top-k", "3"]
    (line,) = ask(*words, "--log-probabilities")
    tokens = [*line["given"], *line["written"]]
    assert "".join(token["text"] for token in tokens) == line["text"]
    assert line["new_tokens"] == len(line["written"]) == 8
    ids = torch.tensor([[token["id"] for token in tokens]])
    with torch.no_grad():
        logs = load(folder).model(ids)[0].log_softmax(-1)
    wanted = logs[:-1].gather(1, ids[0, 1:, None])[:, 0].tolist()
    found = [token["log_probability"] for token in tokens]
    assert found[0] is None
    assert found[1:] == pytest.approx(wanted, abs=1e-5)


def test_a_text_ends_before_a_stop_string(ask: Callable[..., list[dict[str, Any]]]) -> None:
    (whole,) = ask("--prompt", "1 plus", "--seed", "2")
    behind = whole["text"][len("1 plus") :]
    (cut,) = ask("--prompt", "1 plus", "--seed", "2", "--stop", behind[5:8], "--stop", "%%")
    assert cut["text"] == "1 plus" + behind[: behind.index(behind[5:8])]
    assert (cut["end"], whole["end"]) == ("stop string", "length")


def test_lines_go_to_a_file(folder: Path, tmp_path: Path, capsys: Captured) -> None:
    file = lines_of(tmp_path / "prompts.jsonl", PROMPTS)
    words = [str(folder), "--prompts", file, "--max-new-tokens", "5"]
    assert run(generate.main, [*words, "--json"]) == 0
    printed = capsys.readouterr().out
    assert run(generate.main, [*words, "--output", str(tmp_path / "out.jsonl")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "out.jsonl").read_text() == printed
    assert run(generate.main, [*words, "--output", str(tmp_path / "out.jsonl")]) == 2
    assert "there is such a file already" in capsys.readouterr().err


def test_several_texts_are_told_apart_and_kept(folder: Path, capsys: Captured) -> None:
    words = [str(folder), "--prompt", "7 plus", "--samples", "2", "--max-new-tokens", "5"]
    assert run(generate.main, words) == 0
    kept = [one["text"] for one in read_samples(folder) if one["prompt"] == "7 plus"]
    assert capsys.readouterr().out == f"--- sample 1 ---\n{kept[0]}\n--- sample 2 ---\n{kept[1]}\n"


def test_a_terminal_sees_the_text_grow(
    folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [str(folder), "--prompt", "1 plus", "--max-new-tokens", "9"]
    assert run(generate.main, words) == 0
    whole = capsys.readouterr().out
    pieces: list[str] = []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "write", pieces.append)
    assert run(generate.main, words) == 0
    pieces = [piece for piece in pieces if piece]
    assert "".join(pieces) == whole
    assert len(pieces) == 1 + 9 + 1
