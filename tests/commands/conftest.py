"""A corpus that many processes shard, what one makes of it, and a folder to call commands in."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from helpers.calling import LETTERS, TEXT, Call
from helpers.sharding_runs import command, content, run

from dslm.commands import shard
from dslm.commands.cli import run as run_command
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer

WORDS = ["the", "stone", "river", "of", "light", "and", "dark", "under", "over", "never", "falls"]
UNCLEAN = ["&amp;", "nai\u0308ve"]


def paragraph(draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS + UNCLEAN, k=60)) + "."


def write_corpus(folder: Path) -> None:
    """Some 250 kB in three files, where a tenth is there twice, another
    almost, and a line is broken."""
    draw = random.Random(5)
    folder.mkdir()
    known: list[str] = []
    for number in range(3):
        lines = []
        for _ in range(120):
            text = "\n\n".join(paragraph(draw) for _ in range(2))
            if known and draw.random() < 0.1:
                text = draw.choice(known)
            elif known and draw.random() < 0.1:
                text += "\n\n" + draw.choice(known).split("\n\n")[0]
            elif known and draw.random() < 0.1:
                text = draw.choice(known).replace("light", "lights", 1)
            known.append(text)
            lines.append(json.dumps({"text": text}))
        (folder / f"{number}.jsonl").write_text("\n".join(lines) + "\n")
    with (folder / "1.jsonl").open("a") as file:
        file.write('{"text": "cut sho\n')


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    write_corpus(folder / "corpus")
    paths = [folder / "corpus" / "0.jsonl"]
    train_tokenizer(paths, folder / "tokenizer", TokenizerConfig("unigram", 300))
    return folder


@pytest.fixture(scope="session")
def alone(corpus: Path) -> dict[str, str]:
    """What one process alone makes."""
    run(command(corpus, corpus / "alone"))
    statistics = json.loads((corpus / "alone" / "manifest.json").read_text())["statistics"]
    assert statistics["left_out"]["duplicate"] > 10
    assert statistics["left_out"]["near duplicate"] > 10
    assert statistics["changed"].keys() == {
        "Unicode normalized",
        "duplicate paragraphs removed",
    } | {"markup removed"}
    assert statistics["broken"] == {"not JSON": 1}
    found = content(corpus / "alone")
    assert sum(name.startswith("shard-") for name in found) > 20
    return found


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with some text and a tokenizer of single characters."""
    monkeypatch.chdir(tmp_path)
    Path("letters").write_text(json.dumps({"text": LETTERS}) + "\n")
    train_tokenizer([Path("letters")], Path("tok"), TokenizerConfig("char", None))
    Path("corpus").mkdir()
    for number in range(3):
        Path(f"corpus/{number}.txt").write_text(f"{number} {TEXT}\n")
    return tmp_path


@pytest.fixture
def call(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command in the working folder: code, output and errors."""

    def called(*words: str) -> tuple[int, str, str]:
        standard = ["--tokenizer", "tok", "--output", "set"]
        inputs = [] if "--input" in words else ["--input", "corpus"]
        code = run_command(shard.main, [*inputs, *standard, *words])
        reported = capsys.readouterr()
        return code, reported.out, reported.err

    return called
