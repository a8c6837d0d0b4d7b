"""The lines that say what to type next are true: typed as they stand, they work."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from dslm.commands import builtin_corpus, data, shard, train_tokenizer
from dslm.commands.cli import run
from dslm.commands.next_steps import after_sharding, by_role, folded, of_split, role, siblings
from dslm.preprocess.text.invisible import INVISIBLE, SPACE
from dslm.shards.manifest import FILE, Manifest

COMMANDS = {"shard": shard.main, "train_tokenizer": train_tokenizer.main, "data": data.main}
LINE = "the river falls over a stone and under a light that is never dark\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*names: str, text: str = LINE * 30) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"{name}\n{text}")


class Steps:
    """Commands run one after the other, each as the one before said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, line: str) -> list[str]:
        """What to type next, after a line that must work."""
        words = shlex.split(line)
        words = words[1:] if words[0] in ("python", "dslm") else words
        name = Path(words[0]).stem
        code = run(COMMANDS[name], words[1:])
        reported = self._capsys.readouterr()
        assert code == 0, f"{line}\n{reported.err}"
        head, _, rest = reported.out.partition("next:\n")
        self.screen = head
        return [line.strip() for line in rest.splitlines()]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Steps:
    return Steps(capsys)


def sets_named(line: str) -> dict[str, Path]:
    """The shard sets that a line of ``pretrain.py`` names, by key."""
    pairs = [word.partition("=") for word in shlex.split(line) if word.startswith("data.")]
    return {key: Path(value) for key, _, value in pairs}


def test_of_parts_each_is_sharded_and_the_right_ones_are_trained_and_validated_on(
    folder: Path, typed: Steps
) -> None:
    write("my corpus/train-1.txt", "my corpus/train-2.txt", "my corpus/validation-1.txt")
    lines = typed(
        "train_tokenizer.py --input 'my corpus/train*.txt' --model-type char --output tok"
    )
    assert len(lines) == 2
    last = [typed(line) for line in lines][-1]
    for more in (last, typed(lines[0])):
        typed(more[0])
        assert sets_named(more[1]) == {
            "data.train": Path("shards/train"),
            "data.validation": Path("shards/validation"),
        }
    assert Manifest.load(Path("shards/validation")).statistics.documents == 1


def test_one_pile_is_divided_and_the_sets_are_used_for_what_they_are_called(
    folder: Path, typed: Steps
) -> None:
    records = [json.dumps({"body": f"river {n} falls"}) for n in range(1500)]
    write("pile.jsonl", text="")
    Path("pile.jsonl").write_text("\n".join(records) + "\n")
    first = "train_tokenizer.py --input pile.jsonl --text-key body --model-type char --output tok"
    (line,) = typed(first)
    assert typed(first) == [line], "the tokenizer is already there"
    assert "--split train=98,validation=1,test=1 --output shards" in line
    stats, pretrain, evaluate = typed(line)
    typed(stats)
    assert sets_named(pretrain) == {
        "data.train": Path("shards/train"),
        "data.validation": Path("shards/validation"),
    }
    assert evaluate.endswith("launch/evaluate.py runs/a --data shards/test")
    assert all(Path(f"shards/{name}/{FILE}").is_file() for name in ("train", "validation", "test"))


def test_a_few_large_texts_are_cut_so_that_they_can_be_divided(folder: Path, typed: Steps) -> None:
    text = "".join(f"{LINE}{number} times\n\n" for number in range(9000))
    write(*(f"books/{n}.txt" for n in range(3)), text=text)
    books = " ".join(f"books/{n}.txt" for n in range(3))
    (line,) = typed(f"train_tokenizer.py --input {books} --model-type char --output tok")
    assert "--input 'books/*.txt'" in line
    assert "--longest " in line
    typed(line)
    assert Manifest.load(Path("shards/test")).statistics.documents > 0


def test_little_text_is_not_divided(folder: Path, typed: Steps) -> None:
    write("a b.txt")
    for _ in range(2):
        (line,) = typed("train_tokenizer.py --input 'a b.txt' --model-type char --output tok")
        assert "--split" not in line
    assert sets_named(typed(line)[1]) == {"data.train": Path("shards/train")}


@pytest.mark.parametrize("name", ["validation", "test", "dev", "heldout", "news-val", "my_test.1"])
def test_no_model_is_trained_on_a_set_that_is_held_out(
    folder: Path, typed: Steps, name: str
) -> None:
    write("a.txt")
    typed("train_tokenizer.py --input a.txt --model-type char --output tok")
    lines = typed(f"shard.py --input a.txt --tokenizer tok --output shards/{name}")
    assert not [line for line in lines if "data.train=" in line]
    typed(lines[0])


def test_what_was_left_out_is_shown_by_the_next_line(folder: Path, typed: Steps) -> None:
    write("a.txt", "b.txt")
    Path("b.txt").write_text(Path("a.txt").read_text())
    typed("train_tokenizer.py --input a.txt --model-type char --output tok")
    words = "--input a.txt b.txt --tokenizer tok --output set --rejects 'left out.gz'"
    (stats, _) = typed(f"shard.py {words} duplicates.documents=true")
    typed(stats)
    assert "duplicate" in Path("set/stats.html").read_text()


def test_carriage_returns_are_told_and_the_named_option_removes_them(
    folder: Path, typed: Steps
) -> None:
    records = [json.dumps({"text": LINE.replace("\n", "\r\n") * 3}) for _ in range(9)]
    Path("a.jsonl").write_text("\n".join(records) + "\n")
    for _ in range(2):  # the second time the tokenizer is already there
        (line,) = typed("train_tokenizer.py --input a.jsonl --model-type char --output tok")
        assert "27 carriage returns" in typed.screen
        assert "--clean text" in line
    typed("shard.py --input a.jsonl --tokenizer tok --output raw")
    assert "warning: 27 carriage returns are 1.5 % of the tokens; add --clean text" in typed.screen
    typed(line)
    assert "warning" not in typed.screen
    assert Manifest.load(Path("shards/train")).statistics.invisible == {}


@pytest.mark.parametrize(
    ("sign", "parted"),
    [*((sign, "river light") for sign in INVISIBLE.values()), (SPACE, "ไป มา"), (SPACE, "ໄປ a")],
)
def test_the_option_that_is_named_ends_the_warning_whatever_was_seen(
    folder: Path, typed: Steps, sign: str, parted: str
) -> None:
    text = parted.replace(" ", sign) * 5 + "\na"
    Path("a.jsonl").write_text((json.dumps({"text": text}) + "\n") * 9)
    (line,) = typed("train_tokenizer.py --input a.jsonl --model-type char --output tok")
    stays = parted == "ไป มา"
    assert ("--clean text" in line) is not stays
    typed("shard.py --input a.jsonl --tokenizer tok --output raw")
    assert ("add --clean text" in typed.screen) is not stays
    typed("shard.py --input a.jsonl --tokenizer tok --output clean --clean text")
    assert "warning" not in typed.screen
    assert Manifest.load(Path("clean")).statistics.invisible == {}


def test_crlf_of_plain_text_is_read_as_line_feeds_and_counted(folder: Path, typed: Steps) -> None:
    write("a.txt", text=LINE.replace("\n", "\r\n") * 9)
    typed("train_tokenizer.py --input a.txt --model-type char --output tok")
    assert "changed: 1 CRLF read as LF" in typed.screen
    typed("shard.py --input a.txt --tokenizer tok --output set")
    assert Manifest.load(Path("set")).statistics.invisible == {}
    assert "warning" not in typed.screen


def test_the_corpus_of_this_python_names_files_that_are_there(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslm.preprocess.builtin_corpus._sources", lambda: [])
    topics = {f"topic{number}": LINE for number in range(300)}
    monkeypatch.setattr("dslm.preprocess.builtin_corpus._topics", lambda: topics)
    assert run(builtin_corpus.main, ["--output", "it's here"]) == 0
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    pattern = words[words.index("--input") + 1]
    assert sorted(Path().glob(pattern)) == sorted(Path("it's here").glob("train-*.txt"))


@pytest.mark.parametrize(
    ("there", "given", "expected"),
    [
        (["t/a.txt", "t/b.txt"], ["t/a.txt", "t/b.txt"], ["t/*.txt"]),
        (["a.txt", "b.txt", "c.md"], ["a.txt", "b.txt"], ["*.txt"]),
        (["t/x1", "t/x2"], ["t/x1", "t/x2"], ["t/*"]),
        (["t/x1", "t/x2", "t/y"], ["t/x1", "t/x2"], ["t/x*"]),
        (
            ["t/train1.txt", "t/train2.txt", "t/test.txt"],
            ["t/train1.txt", "t/train2.txt"],
            ["t/train*.txt"],
        ),
        (
            ["t/1a.json.gz", "t/2a.json.gz", "t/3b.json.gz"],
            ["t/1a.json.gz", "t/2a.json.gz"],
            ["t/*a.json.gz"],
        ),
        (["t[1]/a.txt", "t[1]/b.txt"], ["t[1]/a.txt", "t[1]/b.txt"], ["t[[]1]/*.txt"]),
        (["a.txt", "b.txt", "c.txt"], ["a.txt", "b.txt"], ["a.txt", "b.txt"]),
        (["t/a.txt", "u/a.txt"], ["t/a.txt", "u/a.txt"], ["t/a.txt", "u/a.txt"]),
        (["t/a.txt"], ["t/a.txt"], ["t/a.txt"]),
        (["t/a.txt", "t/b.txt"], ["t/*.txt"], ["t/*.txt"]),
        (["t/a.txt", "t/b.txt"], ["t/*.txt", "t/a.txt"], ["t/*.txt", "t/a.txt"]),
    ],
)
def test_files_that_a_shell_named_become_the_pattern_that_gives_exactly_them(
    folder: Path, there: list[str], given: list[str], expected: list[str]
) -> None:
    write(*there)
    assert folded(given) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train", ("train", "")),
        ("news-Train", ("train", "news-")),
        ("dev_2", ("validation", "_2")),
        ("my.test", ("test", "my.")),
        ("trained", ("", "trained")),
        ("latest", ("", "latest")),
    ],
)
def test_the_name_says_what_text_is_for(name: str, expected: tuple[str, str]) -> None:
    assert role(name) == expected


def test_sets_belong_together_that_differ_in_this_word_alone(folder: Path) -> None:
    for name in ("en-train", "en-valid", "de-test", "en-test"):
        write(f"shards/{name}/{FILE}")
    write("shards/en-dev/other")
    assert siblings(Path("shards/en-train")) == {
        "train": Path("shards/en-train"),
        "test": Path("shards/en-test"),
        "validation": Path("shards/en-valid"),
    }


def test_a_split_with_names_of_its_own_is_trained_on_the_first() -> None:
    assert of_split(Path("s"), ["big", "small"]) == {"train": Path("s/big")}
    assert of_split(Path("s"), ["test", "big"]) == {"test": Path("s/test"), "train": Path("s/big")}
    assert after_sharding(of_split(Path("s"), ["test", "validation"])) == []


def test_patterns_of_other_parts_are_those_that_name_files(folder: Path) -> None:
    write("c/train-a.txt", "c/test-a.txt")
    assert by_role("c/train*.txt") == {"train": "c/train*.txt", "test": "c/test*.txt"}
    assert by_role("c/*.txt") == {}
