from __future__ import annotations

import gzip
import json

import pytest

from dslm.data.manifest import Reading
from dslm.data.readers import Meter, Tally, common_folder, describe, documents, expand
from dslm.errors import DataError

BROKEN = b"sound \xff\xfe text"


def test_patterns_give_sorted_files_once(tmp_path):
    for name in ("b.txt", "a.jsonl", "c/d.txt.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = expand([f"{tmp_path}/**/*", str(tmp_path / "b.txt"), f"{tmp_path}/c/../b.*"])
    assert [path.name for path in found] == ["a.jsonl", "b.txt", "d.txt.gz"]


def test_every_pattern_without_a_file_is_named_at_once(tmp_path):
    (tmp_path / "a.pdf").touch()
    patterns = [f"{tmp_path}/*.txt", f"{tmp_path}/none", str(tmp_path), f"{tmp_path}/a.pdf"]
    with pytest.raises(DataError) as caught:
        expand(patterns)
    assert [problem.where for problem in caught.value.problems] == patterns
    assert "'.pdf' cannot be read; use .txt, .jsonl" in str(caught.value)


def test_a_text_file_is_one_document_with_its_line_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\n three \n")
    assert list(documents(path)) == ["one\r\ntwo\n\n three \n"]


def test_json_lines_are_documents_and_blank_lines_are_not(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one\\ntwo", "id": 1}\n\n{"text": "drei \xc3\xa4"}')
    assert list(documents(path)) == ["one\ntwo", "drei ä"]


def test_another_key_can_hold_the_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "no", "body": "yes"}\n')
    assert list(documents(path, Reading(text_key="body"))) == ["yes"]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_compressed_files_read_like_plain_ones(tmp_path, name):
    content = json.dumps({"text": "a\nb"}).encode()
    (tmp_path / name).write_bytes(content)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    assert list(documents(tmp_path / name)) == list(documents(tmp_path / f"{name}.gz"))


@pytest.mark.parametrize("content", [gzip.compress(b"text" * 100)[:-9], b"text", b"\x1f\x8b\x08"])
def test_broken_gzip_is_one_clear_error(tmp_path, content):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.txt\.gz: is not whole gzip"):
        list(documents(path))


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.txt", BROKEN, "byte 6 (0xff)"),
        ("a.txt", b"\xef\xbb\xbf" + BROKEN, "byte 9 (0xff)"),
        ("a.jsonl", b'{"text": "fine"}\n{"text": "' + BROKEN + b'"}\n', "byte 33 (0xff)"),
        ("a.jsonl", b'\n{"text": "half \\ud83d"}', "U+D83D) in line 2"),
    ],
)
def test_invalid_text_is_refused_with_its_place(tmp_path, name, content, place):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(documents(path))
    assert place in str(caught.value)
    assert "--invalid-utf8" in str(caught.value)


@pytest.mark.parametrize(
    ("choice", "texts", "tally"),
    [
        ("replace", ["sound \ufffd\ufffd text", "half \ufffd!", "ok"], Tally(replaced=2)),
        ("skip", ["ok"], Tally(skipped=2)),
    ],
)
def test_invalid_text_is_replaced_or_skipped_and_counted(tmp_path, choice, texts, tally):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "' + BROKEN + b'"}\n{"text": "half \\ud83d!"}\n{"text": "ok"}\n')
    found = Tally()
    assert list(documents(path, Reading(invalid_utf8=choice), found)) == texts
    assert found == tally


def test_documents_without_text_are_left_out_and_counted(tmp_path):
    (tmp_path / "a.txt").touch()
    (tmp_path / "a.jsonl").write_text('{"text": ""}\n{"text": "b"}\n{"text": ""}\n')
    tally = Tally()
    found = [text for path in expand([f"{tmp_path}/*"]) for text in documents(path, tally=tally)]
    assert found == ["b"]
    assert tally == Tally(empty=3)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"text": "cut', "line 2 is not JSON"),
        ('["text"]', "line 2 is not a JSON object"),
        ('{"texts": "a"}', "line 2 has no key 'text'; did you mean 'texts'?"),
        ('{"body": "a", "id": 1}', "line 2 has no key 'text'; use --text-key with one of body, id"),
        ('{"text": 5}', "line 2: the value of 'text' is not text"),
    ],
)
def test_a_broken_json_line_is_named(tmp_path, line, told):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(DataError) as caught:
        list(documents(path))
    assert str(caught.value).startswith(f"{path}: {told}")


def test_a_file_that_vanished_is_one_clear_error(tmp_path):
    path = tmp_path / "a.txt"
    for read in (lambda: list(documents(path)), lambda: describe([path], tmp_path)):
        with pytest.raises(DataError, match=r"a\.txt: No such file"):
            read()


def test_inputs_are_named_below_their_common_folder(tmp_path):
    for name in ("x/a.txt", "y/a.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    paths = expand([f"{tmp_path}/*/a.txt"])
    inputs = describe(paths, common_folder(paths))
    assert [one.name for one in inputs] == ["x/a.txt", "y/a.txt"]
    assert inputs[0].sha256 != inputs[1].sha256


@pytest.mark.parametrize("amounts", [[], [10], [60, 60], [1000]])
def test_progress_through_a_file_adds_up_to_its_size(tmp_path, amounts):
    path = tmp_path / "a.txt"
    path.write_text("x" * 100)
    told: list[int] = []
    meter = Meter(path, told.append)
    for amount in amounts:
        meter(amount)
    meter.finish()
    assert sum(told) == 100
