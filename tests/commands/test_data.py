from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dslm.commands import shard
from dslm.commands.cli import run
from dslm.commands.data import VERBS, main
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.shards.shard_set import ShardSet

TEXTS = ["The river falls. It never stops.", "短い", "The stone is dark, the light is over."]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shard set of three documents, made of four lines."""
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in TEXTS]
    Path("lines.jsonl").write_text("\n".join([*lines, '{"text": "cut']) + "\n")
    Path("known.txt").write_text("".join(TEXTS))
    train_tokenizer([Path("known.txt")], Path("tok"), TokenizerConfig("char", None))
    words = "--input lines.jsonl --tokenizer tok --output set cleaning.language.on=true"
    assert run(shard.main, words.split()) == 0
    return tmp_path / "set"


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a verb: ``call("show set --document 1")`` gives code, output and errors."""
    capsys.readouterr()

    def called(words: str) -> tuple[int, str, str]:
        code = run(main, words.split())
        reported = capsys.readouterr()
        return code, reported.out, reported.err

    return called


def test_help_names_every_verb(call: Any) -> None:
    for words in ("", "--help", "-h"):
        code, reported, _ = call(words)
        assert code == 0
        assert all(f"dslm data {verb} " in reported for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_of_its_own(call: Any, verb: str) -> None:
    with pytest.raises(SystemExit) as ended:
        call(f"{verb} --help")
    assert ended.value.code == 0


def test_a_misspelt_verb_is_reported_with_the_nearest(call: Any) -> None:
    code, _, error = call("verfy set")
    assert code == 2
    assert "dslm data = 'verfy': there is no such verb; did you mean 'verify'?" in error
    assert "choose from verify, stats, show, trace, remove" in call("x set")[2]


@pytest.mark.parametrize("verb", ["verify", "stats", "show", "remove"])
def test_a_folder_that_is_no_shard_set_is_reported(call: Any, verb: str) -> None:
    more = {"show": "--document 0", "remove": f"--sha256 {'0' * 64}"}.get(verb, "")
    code, _, error = call(f"{verb} tok {more}")
    assert code == 2
    assert "tok/manifest.json: the folder is not a shard set" in error


def test_verify_of_a_whole_set_says_so(call: Any) -> None:
    code, reported, _ = call("verify set")
    assert code == 0
    assert reported.startswith("set: whole\n  1 shards, 3 documents, 71 tokens")


def test_verify_names_every_broken_file(call: Any, folder: Path) -> None:
    path = folder / "shard-00000.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (folder / "tokenizer" / "card.json").unlink()
    code, reported, error = call("verify set")
    assert (code, reported) == (2, "")
    assert error.count("error: ") == 2
    assert "set/shard-00000.arrow: its bytes have changed since" in error
    assert "tokenizer" in error


def test_stats_are_a_table_and_a_page(call: Any, folder: Path) -> None:
    code, reported, _ = call("stats set")
    assert code == 0
    for line in ("documents                           3", "broken                              1"):
        assert line in reported
    assert "documents by length\n" in reported
    assert "  not JSON " in reported
    assert reported.endswith("set/stats.html\n")
    assert "<html" in (folder / "stats.html").read_text()


def test_stats_go_where_one_wishes_and_as_json(call: Any, folder: Path) -> None:
    code, reported, _ = call("stats set --html page.html --json")
    assert code == 0
    assert json.loads(reported) == json.loads((folder / "manifest.json").read_text())["statistics"]
    assert (folder.parent / "page.html").exists()
    assert not (folder / "stats.html").exists()


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ("stats set --html nowhere/page.html", "nowhere/page.html"),
        ("stats set --html nowhere/page.html --json", "nowhere/page.html"),
        ("stats set", "set/stats.html"),
    ],
)
def test_stats_are_printed_where_their_page_cannot_be_written(
    words: str, where: str, call: Any, folder: Path
) -> None:
    (folder / "stats.html").mkdir()
    code, reported, error = call(words)
    assert code == 2
    assert "documents" in reported
    assert where not in reported
    assert error.startswith(f"error: {where}: cannot be written: ")
    assert error.count("error:") == 1


def test_a_page_in_the_set_changes_nothing_of_it(call: Any) -> None:
    call("stats set")
    assert call("verify set")[0] == 0


def test_show_prints_a_document_and_where_it_is_from(call: Any) -> None:
    code, reported, _ = call("show set --document 1")
    assert code == 0
    assert reported.endswith(f"\n\n{TEXTS[1]}\n")
    facts = dict(line.split(maxsplit=1) for line in reported.split("\n\n")[0].splitlines())
    assert facts["input"] == "lines.jsonl"
    assert int(facts["place"]) == len(json.dumps({"text": TEXTS[0]})) + 1
    assert facts["text_bytes"] == "6"


def test_show_as_json_is_one_object(call: Any) -> None:
    facts = json.loads(call("show set --document 2 --json")[1])
    assert facts["text"] == TEXTS[2]
    assert (facts["number"], facts["sentences"], facts["language"]) == (2, 1, "en")


@pytest.mark.parametrize("number", ["3", "-1"])
def test_a_document_that_is_not_there_is_reported(call: Any, number: str) -> None:
    code, _, error = call(f"show set --document={number}")
    assert code == 2
    assert f"--document = {number}: the set has documents 0 to 2" in error


def test_remove_takes_a_document_out_and_says_so(call: Any, folder: Path) -> None:
    digest = json.loads(call("show set --document 0 --json")[1])["sha256"]
    code, reported, _ = call(f"remove set --sha256 {digest}")
    assert code == 0
    assert f"removed {digest}: 32 tokens, from shard-00000.arrow" in reported
    assert "cannot be resumed" in reported
    assert ShardSet.open(folder).documents == 2
    assert json.loads(call("show set --document 0 --json")[1])["text"] == TEXTS[1]
    assert call("verify set")[0] == 0
    assert "removed since" in call("stats set")[1]


@pytest.mark.parametrize(
    ("digest", "reported"),
    [
        ("0" * 64, "no document of the set has this hash; see dslm data show"),
        ("x", "--sha256 = 'x': is not 64 hexadecimal digits"),
    ],
)
def test_a_hash_that_cannot_be_removed_is_reported(call: Any, digest: str, reported: str) -> None:
    code, _, error = call(f"remove set --sha256 {digest}")
    assert code == 2
    assert reported in error
    assert error.count("error:") == 1


def test_trace_of_what_is_no_run_is_reported(call: Any) -> None:
    code, _, error = call("trace set --step 1")
    assert code == 2
    assert "error: set: is not the folder of a run: it is a shard set" in error


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        ("show set", "--document"),
        ("show set --document one", "--document"),
        ("trace runs/a", "--step"),
        ("remove set", "--sha256"),
        ("verify", "DIR"),
        ("stats set --jsn", "--jsn: unknown argument; did you mean '--json'?"),
    ],
)
def test_a_missing_or_unknown_argument_is_one_line(call: Any, words: str, reported: str) -> None:
    code, _, error = call(words)
    assert code == 2
    assert error.count("error:") == 1
    assert reported in error


@pytest.mark.parametrize(("before", "verb"), [("whence", "trace"), ("strike", "remove")])
def test_a_verb_of_an_earlier_version_is_still_known(call: Any, before: str, verb: str) -> None:
    assert call(f"{before} set") == call(f"{verb} set")
