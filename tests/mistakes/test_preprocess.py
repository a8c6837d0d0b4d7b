"""What people type wrongly on the way from text to shards: each is refused with what to type."""

from __future__ import annotations

import gzip
import json
import random
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.calling import LETTERS, TEXT

from dslm.commands import builtin_corpus, data, shard, train_tokenizer
from dslm.commands.cli import run
from dslm.preprocess.train_tokenizer import TokenizerConfig
from dslm.preprocess.train_tokenizer import train_tokenizer as train

COMMANDS = {
    "shard": shard.main,
    "train": train_tokenizer.main,
    "builtin": builtin_corpus.main,
    "data": data.main,
}
DEFAULTS = {
    "shard": ["--input", "corpus", "--tokenizer", "tok", "--output", "new/set"],
    "train": ["--input", "corpus", "--model-type", "char", "--output", "new/tok"],
    "builtin": [],
    "data": [],
}

MISTAKES = [
    # what is typed, the key or file that is named, the rule, what to do
    ("shard --shard-size 256", "--shard-size = '256'", "means 256 bytes", "write 256MB"),
    ("shard --shard-size 3XB", "--shard-size = '3XB'", "is not a size", "such as 256MB"),
    ("shard --workers 0", "--workers = '0'", "not a whole number of at least 1", "write one"),
    ("shard --workers two", "--workers = 'two'", "not a whole number", "write one such as 1"),
    ("shard --max-bad -1", "--max-bad = '-1'", "not a whole number", "write one such as 0"),
    ("shard --max-bad 1%", "--max-bad = '1%'", "is not a whole number", "write one such as 0"),
    ("shard --longest 15", "--longest = '15'", "less than 16 characters", "write 16 or more"),
    ("shard --delimiter ab", "--delimiter = 'ab'", "not one character", "such as ';', or tab"),
    ("shard --quote ,", "--quote = ','", "stands between cells already", "or none"),
    ("shard --worker 2", "--worker", "unknown argument", "did you mean '--workers'?"),
    ("shard --tokenizer gpt2", "--tokenizer = 'gpt2'", "nothing is downloaded", "give the folder"),
    (
        "shard --tokenizer meta/Llama-3",
        "'meta/Llama-3'",
        "nothing is downloaded",
        "give the folder",
    ),
    ("shard --tokenizer corpus", "corpus/tokenizer.json", "is not a tokenizer", "make one with"),
    ("shard --input letter.txt", "letter.txt", "no such file", "did you mean 'letters.txt'?"),
    ("shard --input corpus/0.tx", "corpus/0.tx", "no such file", "did you mean '0.txt'?"),
    ("shard --input 'corpus/*.md'", "corpus/*.md", "no such file", "it has 0.txt, 1.txt"),
    ("shard --input corpsu/0.txt", "corpsu/0.txt", "there is no corpsu", "mean 'corpus'?"),
    ("shard --input bare", "bare", "holds no files", "give files"),
    ("shard --input empty.txt", "--input", "holds no text", "give files with text"),
    ("shard --input content.jsonl", "content.jsonl", "no 'text'", "add --text-key content"),
    ("shard --input body.parquet", "body.parquet", "has no column 'text'", "--text-key names"),
    ("shard --input semicolon.csv", "semicolon.csv", "no column 'text'", "add --delimiter"),
    ("shard --input latin.txt", "latin.txt", "not UTF-8", "add --encoding detect"),
    ("shard --input numbers.jsonl", "numbers.jsonl", "found a number", "add --text-key"),
    ("shard --input image.png", "image.png", "not text", "leave it out"),
    ("shard --input pointer.txt", "pointer.txt", "only a pointer of Git LFS", "git lfs pull"),
    ("shard --input broken.jsonl --max-bad 1", "--max-bad = 1", "records are broken", "mend"),
    ("shard --output corpus/set", "--output = 'corpus/set'", "in a folder that is read", "outside"),
    ("shard --output bare/../tok", "--output", "holds something else", "another --output"),
    ("shard --output empty.txt", "--output = 'empty.txt'", "holds something else", "remove it"),
    ("shard --output empty.txt/set", "--output", "nothing can be made", "choose another place"),
    (
        "shard --output /proc/none",
        "--output = '/proc/none'",
        "nothing can be made",
        "another place",
    ),
    ("shard --rejects empty.txt", "--rejects = 'empty.txt'", "such a file already", "another name"),
    ("shard --rejects corpus/r.gz", "--rejects", "in a folder that is read", "outside"),
    ("shard --against corpus", "corpus/manifest.json", "is not a shard set", "make one with"),
    ("shard --split train=99", "--split = 'train=99'", "names one set", "or leave --split out"),
    ("shard --split a=1,a=2", "--split = 'a'", "named more than once", "name each set once"),
    ("shard --split a=0,b=1", "--split = 'a=0'", "a number above 0", "leave the set out"),
    ("shard --split a,b", "--split = 'a,b'", "only one set can get", "write a share"),
    ("shard --split ,a=1", "--split = ',a=1'", "a set has no name", "NAME=SHARE"),
    ("shard --split ../a=1,b=1", "--split = '../a'", "no name for a folder", "use letters"),
    ("shard --split train=98,test=2", "--split", "3 documents, one for each file", "--documents"),
    ("shard --clean text duplicates.rows=4", "duplicates.rows = 4", "no effect", "near=true"),
    ("shard cleaning.marcup.on=true", "cleaning.marcup", "unknown key", "'cleaning.markup'?"),
    ("shard --clean all", "--clean", "all", "text"),
    ("train --vocab-size 100", "--vocab-size = 100", "takes its size from", "leave it out"),
    ("train --model-type bpe", "--vocab-size", "is required for bpe", "try 8000"),
    ("train --model-type unigram --vocab-size 8k", "'8k'", "not a whole number", "write one"),
    ("train --model-type unigram --vocab-size 9000", "9000", "more than the text has", "at most"),
    ("train --sample-bytes 3", "--sample-bytes = '3'", "means 3 bytes", "write 3MB"),
    ("train --input latin.txt", "latin.txt", "not UTF-8", "add --encoding detect"),
    ("train --output empty.txt/tok", "--output", "nothing can be made", "choose another place"),
    ("builtin --output empty.txt/c", "--output", "nothing can be made", "choose another place"),
    ("data stats nothing", "nothing/manifest.json", "no such shard set", "make one with"),
    ("data show corpus --document 0", "corpus/manifest.json", "is not a shard set", "make one"),
    ("data stats corpus --rejects r.gz", "corpus/manifest.json", "not a shard set", "make one"),
    ("data stats .", ": the folder", "is not a shard set", "give made"),
    ("data verfy corpus", "dslm data = 'verfy'", "no such verb", "did you mean 'verify'?"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some text, a tokenizer of single characters, and what is wrong in files."""
    import pyarrow as pa
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("desk")
    (folder / "corpus").mkdir()
    (folder / "bare").mkdir()
    for number in range(3):
        (folder / f"corpus/{number}.txt").write_text(f"{number} {TEXT}\n")
    (folder / "letters.txt").write_text(LETTERS)
    (folder / "made").mkdir()
    (folder / "made/manifest.json").write_text("{}")
    train([folder / "letters.txt"], folder / "tok", TokenizerConfig("char", None))
    records = [json.dumps({"content": TEXT, "id": f"{n}"}) for n in range(200)]
    (folder / "content.jsonl").write_text("\n".join(records) + "\n")
    (folder / "numbers.jsonl").write_text('{"text": 5}\n')
    (folder / "broken.jsonl").write_text("{\n" * 5)
    (folder / "semicolon.csv").write_text("id;text\n1;the river\n")
    (folder / "latin.txt").write_bytes("café au lait".encode("latin-1"))
    (folder / "pointer.txt").write_text("version https://git-lfs.github.com/spec/v1\n")
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(4000))
    (folder / "empty.txt").touch()
    parquet.write_table(pa.table({"body": ["the river"]}), folder / "body.parquet")
    return folder


Typed = Callable[[str], tuple[int, str]]


@pytest.fixture
def typed(desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Runs a line in the folder; gives the exit code and what standard error holds."""
    monkeypatch.chdir(desk)

    def call(line: str) -> tuple[int, str]:
        name, *words = shlex.split(line)
        given = {word for word in words if word.startswith("--")}
        pairs = zip(DEFAULTS[name][::2], DEFAULTS[name][1::2], strict=True)
        defaults = [word for pair in pairs if pair[0] not in given for word in pair]
        code = run(COMMANDS[name], [*words, *defaults])
        return code, capsys.readouterr().err

    return call


@pytest.mark.parametrize(("line", "where", "rule", "fix"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_named_with_what_to_type_before_anything_is_made(
    typed: Typed, desk: Path, line: str, where: str, rule: str, fix: str
) -> None:
    before = sorted(desk.rglob("*"))
    code, error = typed(line)
    assert code == 2
    assert "Traceback" not in error
    lines = [one for one in error.splitlines() if one.startswith("error: ")]
    assert any(where in one and rule in one for one in lines), error
    assert fix in error
    assert "input     " not in error, "no first screen"
    assert sorted(desk.rglob("*")) == before


def test_all_mistakes_of_a_line_are_reported_at_once(typed: Typed) -> None:
    code, error = typed(
        "shard --shard-size 256 --workers 0 --tokenizer gpt2 --split a,b --input content.jsonl"
        " --output empty.txt/set --against bare duplicates.near=1"
    )
    assert code == 2
    for named in (
        *("--shard-size", "--workers", "--tokenizer", "--split", "content.jsonl", "--output"),
        *("bare/manifest.json", "duplicates.near"),
    ):
        assert any(line.startswith(f"error: {named}") for line in error.splitlines()), named


def test_workers_without_processors_are_noticed(typed: Typed) -> None:
    _, error = typed("shard --workers 1000 --output many/set")
    assert "1,000 workers for" in error
    assert "make nothing faster" in error


def test_a_tilde_is_the_home_folder_in_every_path(
    typed: Typed, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(desk))
    words = "--input '~/corpus/*.txt' --tokenizer '~/tok' --output '~/home/set'"
    assert typed(f"shard {words} --rejects '~/home/r.gz'")[0] == 0
    assert (desk / "home/set/manifest.json").is_file()
    assert gzip.decompress((desk / "home/r.gz").read_bytes()) == b""
    assert typed("data stats '~/home/set' --html '~/home/page.html'")[0] == 0
    assert (desk / "home/page.html").is_file()
    assert not (desk / "~").exists()
