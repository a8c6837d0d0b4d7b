"""Each kind of bad input is counted with its file and line, or refused in one sentence."""

from __future__ import annotations

import bz2
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from helpers.calling import TEXT, Call
from helpers.sharding_runs import statistics, texts

from dslm.shards.manifest import Manifest
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet


def test_a_truncated_archive_gives_what_it_holds_and_is_reported(call: Call) -> None:
    draw = random.Random(2)
    lines = "".join(json.dumps({"text": f"{draw.getrandbits(999)}"}) + "\n" for _ in range(3000))
    packed = gzip.compress(lines.encode())
    Path("corpus/3.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    assert call()[0] == 0
    assert statistics().broken == {"cut short": 1}
    assert statistics().examples[0].startswith("3.jsonl.gz: cut short")
    assert 3 + 1000 < statistics().documents < 3 + 1501


@pytest.mark.parametrize(
    ("name", "content", "option"),
    [
        ("4.txt", b"caf\xe9", "--encoding"),
        ("4.jsonl", b'{"body": "a"}', "--text-key"),
        ("4.csv", b"text,id\na\n", "--delimiter"),
        ("4.jsonl", b'{"text": "the river of light"}', "a larger --longest"),
    ],
)
def test_what_else_may_be_done_about_broken_records_is_told(
    call: Call, name: str, content: bytes, option: str
) -> None:
    Path(name).write_bytes(content)
    for words in ([], ["--max-bad", "0"]):
        code, _, error = call("--input", name, "--longest", "16", *words)
        assert code == 2
        assert option in error.splitlines()[-1]


def test_a_file_cut_short_is_named_however_much_else_is_broken(call: Call) -> None:
    Path("corpus/0.jsonl").write_text("not JSON\n" * 9)
    packed = gzip.compress(json.dumps({"text": random.Random(2).randbytes(9999).hex()}).encode())
    Path("corpus/3.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    _, out, _ = call()
    assert "3.jsonl.gz: cut short" in out
    assert out.count("0.jsonl: not JSON") == 5


def test_a_record_with_nul_bytes_is_counted(call: Call) -> None:
    Path("corpus/3.jsonl").write_bytes(b'{"text": "good"}\n{"text": "a\x00b"}\n{"text": "end"}\n')
    assert call()[0] == 0
    assert statistics().broken == {"NUL bytes": 1}
    assert statistics().examples[0].startswith("3.jsonl: NUL bytes (line 2")
    assert texts()[-2:] == ["good", "end"]


def test_a_line_that_is_too_long_is_counted_and_its_neighbours_are_kept(call: Call) -> None:
    long = json.dumps({"text": "x" * 5_000_000})
    Path("corpus/3.jsonl").write_text(f'{{"text": "a"}}\n{long}\n{{"text": "b"}}\n')
    assert call("--longest", "1MB")[0] == 0
    assert statistics().broken == {"too long": 1}
    assert statistics().examples[0].startswith("3.jsonl: too long (line 2")
    assert texts()[-2:] == ["a", "b"]


def test_a_text_that_is_too_long_is_cut_and_nothing_of_it_is_lost(call: Call) -> None:
    text = "".join(f"{n} {TEXT}\n\n" for n in range(30_000))
    Path("long.txt").write_text(text)
    assert call("--input", "long.txt", "--longest", "1MB")[0] == 0
    assert len(texts()) > 1
    assert "".join(texts()) == text


@pytest.mark.parametrize("documents", ["file", "line", "block"])
def test_an_empty_file_is_no_document(call: Call, documents: str) -> None:
    Path("corpus/1.txt").write_bytes(b"")
    assert call("--documents", documents)[0] == 0
    assert [one.name for one in Manifest.load(Path("set")).inputs] == ["0.txt", "1.txt", "2.txt"]
    assert [text[0] for text in texts()] == ["0", "2"]
    assert "(already there)" in call("--documents", documents)[1]


def test_nothing_but_empty_files_is_refused(call: Call) -> None:
    Path("empty.txt").touch()
    code, _, error = call("--input", "empty.txt")
    assert code == 2
    assert "error: --input: holds no text to tokenize" in error
    assert not Path(".set.partial").exists()


def test_a_folder_with_no_file_is_refused(call: Call) -> None:
    Path("bare").mkdir()
    code, _, error = call("--input", "bare", "corpus/*.md")
    assert code == 2
    assert error.splitlines() == [
        "error: bare: holds no files; give files, or a folder with some",
        "error: corpus/*.md: no such file; it has 0.txt, 1.txt, 2.txt",
    ]


def test_two_inputs_with_the_same_document_are_both_kept_unless_reported(call: Call) -> None:
    Path("corpus/1.txt").write_text(Path("corpus/0.txt").read_text())
    assert call()[0] == 0
    assert texts()[0] == texts()[1]
    assert call("--output", "once", "duplicates.documents=true")[0] == 0
    assert [text[0] for text in texts("once")] == ["0", "2"]
    provenance = ProvenanceReader(ShardSet.open("once"))(1)
    assert provenance.input == "2.txt"


def test_a_file_that_cannot_be_read_is_refused_before_anything_is_made(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.open

    def refusing(path: Path, *arguments: Any, **choices: Any) -> Any:
        if path.name == "1.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path, *arguments, **choices)

    monkeypatch.setattr(Path, "open", refusing)
    code, _, error = call()
    assert code == 2
    assert error.count("error:") == 1
    assert "corpus/1.txt" in error
    assert "ermission denied" in error
    assert not Path("set").exists()


def test_a_tokenizer_that_lacks_a_character_is_refused_with_its_file(call: Call) -> None:
    Path("corpus/1.txt").write_text("Ω")
    code, _, error = call()
    assert code == 2
    assert error.count("error:") == 1
    assert "1.txt: character 'Ω' (U+03A9)" in error


def test_damage_in_any_packing_is_reported_and_the_rest_is_kept(call: Call) -> None:
    packed = bytearray(bz2.compress(TEXT.encode() * 100))
    packed[len(packed) // 2] ^= 255
    Path("corpus/3.txt.bz2").write_bytes(packed)
    assert call()[0] == 0
    assert sum(statistics().broken.values()) == 1
    assert statistics().documents == 3
