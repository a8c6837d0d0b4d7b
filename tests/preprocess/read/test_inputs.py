from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from dslm.errors import DataError
from dslm.files import sniff, streams
from dslm.preprocess.read.inputs import common_folder, describe, expand
from dslm.preprocess.read.kinds import kind


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names(folder: Path, *patterns: str | Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in expand(map(str, patterns))]


def test_patterns_give_sorted_files_once(tmp_path: Path) -> None:
    fill(tmp_path, "b.txt", "a.jsonl", "c/d.txt.gz")
    patterns = [f"{tmp_path}/**/*", tmp_path / "b.txt", f"{tmp_path}/c/../b.*"]
    assert names(tmp_path, *patterns) == ["a.jsonl", "b.txt", "c/d.txt.gz"]


def test_a_folder_stands_for_the_files_below_it_that_are_not_hidden(tmp_path: Path) -> None:
    fill(tmp_path, "b/2", "b/1", "a", ".hidden", ".git/config")
    assert names(tmp_path, tmp_path) == ["a", "b/1", "b/2"]


@pytest.mark.parametrize("pattern", ["", "/**/*"])
def test_a_saved_data_set_is_one_input(tmp_path: Path, pattern: str) -> None:
    data = Dataset.from_dict({"text": ["one"]})
    data.save_to_disk(tmp_path / "whole")
    DatasetDict(train=data, test=data).save_to_disk(tmp_path / "split")
    found = names(tmp_path, f"{tmp_path}{pattern}")
    assert [name for name in found if "json" not in name] == ["split/test", "split/train", "whole"]
    assert names(tmp_path, tmp_path / "whole") == ["whole"]


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "image").write_bytes(bytes(range(256)) * 8)
    patterns = [f"{tmp_path}/*.txt", f"{tmp_path}/none", f"{tmp_path}/empty", f"{tmp_path}/image"]
    with pytest.raises(DataError) as caught:
        expand(patterns)
    assert [problem.where for problem in caught.value.problems] == patterns
    rules = [problem.rule for problem in caught.value.problems]
    assert rules == ["no such file", "no such file", "holds no files", "is not text"]


def test_a_file_that_may_not_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forbidden:
        def __init__(self, *_: object) -> None:
            raise PermissionError(13, "Permission denied")

    fill(tmp_path, "a", "b")
    monkeypatch.setattr(streams, "_Metered", Forbidden)
    with pytest.raises(DataError, match=r"a: Permission denied\n.*b: Permission denied"):
        expand([str(tmp_path)])


def test_inputs_are_named_below_their_common_folder(tmp_path: Path) -> None:
    fill(tmp_path, "x/a.txt", "y/a.txt")
    paths = expand([f"{tmp_path}/*/a.txt"])
    reported: list[int] = []
    inputs = [describe(path, common_folder(paths), reported.append) for path in paths]
    assert [one.name for one in inputs] == ["x/a.txt", "y/a.txt"]
    assert [one.sha256 for one in inputs] == [
        hashlib.sha256(name).hexdigest() for name in (b"x/a.txt", b"y/a.txt")
    ]
    assert sum(reported) == sum(one.bytes for one in inputs) == 14


def test_the_hash_of_a_data_set_is_that_of_its_rows(tmp_path: Path) -> None:
    made = []
    for name, text in (("a", "one"), ("b", "one"), ("c", "two")):
        Dataset.from_dict({"text": [text]}).save_to_disk(tmp_path / name)
        made.append(describe(tmp_path / name, tmp_path))
    (tmp_path / "a" / "cache-1.arrow").write_bytes(b"not of the data")
    assert describe(tmp_path / "a", tmp_path) == made[0]
    assert made[0].sha256 == made[1].sha256 != made[2].sha256


def test_a_file_that_vanished_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt: No such file"):
        describe(tmp_path / "a.txt", tmp_path)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as collect:
        collect.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "socket", "/dev/null"):
            with pytest.raises(DataError, match=f"{path}: is no regular file; pipe it in as -"):
                expand([str(path)])


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path / "a") + b"\xff")).write_text("text")
    with pytest.raises(DataError, match=r"a\\udcff: its name is not UTF-8; rename it") as caught:
        expand([str(tmp_path)])
    str(caught.value).encode()


def test_a_link_is_named_as_it_was_given(tmp_path: Path) -> None:
    fill(tmp_path, "store/1", "store/2", "store/3")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").symlink_to(tmp_path / "store" / "2")
    (tmp_path / "in" / "b.txt").symlink_to(tmp_path / "store" / "1")
    (tmp_path / "in" / "c").symlink_to(tmp_path / "store")
    paths = expand([str(tmp_path / "in")])
    folder = common_folder(paths)
    assert [describe(path, folder).name for path in paths] == ["a.txt", "b.txt", "c/3"]
    assert folder == tmp_path / "in"


def test_the_kind_of_a_file_is_looked_up_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    monkeypatch.setattr(sniff, "head", lambda *asked: looks.append(asked) or streams.head(*asked))
    path = tmp_path / "a"
    path.write_text("some text")
    assert [kind(path).format.name for _ in range(3)] == ["text"] * 3
    assert len(looks) == 1
    path.write_text('{"text": "one"}\n')
    assert kind(path).format.name == "JSON lines"
