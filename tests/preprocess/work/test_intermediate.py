from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dslm.preprocess.clean.controls import ControlsConfig
from dslm.preprocess.clean.pipeline import CleaningConfig
from dslm.preprocess.document import Document, Rejected
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.work import intermediate as cleaned
from dslm.preprocess.work.intermediate import Texts, clean_documents, write_texts
from dslm.preprocess.work.plan import ShardingConfig, plan


def test_texts_come_back_from_the_disk_as_they_were(tmp_path: Path) -> None:
    batches = [
        [Document("the river", 0, 5, "en"), Document("河流", 1, 0, "zh")],
        [Document("a\U0001f30a\x00b", 1, 9)],
    ]
    write_texts(tmp_path / "texts", batches)
    texts = Texts(tmp_path / "texts")
    assert list(texts.batches()) == batches
    assert [texts.text(n) for n in range(len(texts))] == ["the river", "河流", "a\U0001f30a\x00b"]


def test_a_unit_of_which_nothing_is_kept_has_no_texts(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts", [])
    assert len(Texts(tmp_path / "texts")) == 0
    assert list(Texts(tmp_path / "texts").batches()) == []


def test_open_texts_take_no_memory_for_each_document(tmp_path: Path) -> None:
    batches = [[Document(str(number), 0, number) for number in range(5000)] for _ in range(4)]
    write_texts(tmp_path / "texts", batches)
    tracemalloc.start()
    texts = Texts(tmp_path / "texts")
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < len(texts)
    numbers = [0, 4999, 5000, 12_345, 19_999]
    assert [texts.text(number) for number in numbers] == [str(n % 5000) for n in numbers]


def test_texts_appear_when_they_are_whole(tmp_path: Path) -> None:
    def batches() -> Iterator[list[Document]]:
        yield [Document("the river", 0, 5)]
        assert not (tmp_path / "texts").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_texts(tmp_path / "texts", batches())
    assert not list(tmp_path.iterdir())


def test_documents_of_a_unit_are_cleaned_in_batches_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaned, "BATCH", 15)
    path = tmp_path / "lines.txt"
    path.write_bytes(b"one river\ntwo\x7f rivers\n\xff\n\nthree rivers\n")
    reading = ReadingConfig(documents="line")
    (unit,) = plan([path], ShardingConfig(tmp_path, reading=reading))
    changed, rejected, reported = Counter[str](), list[Rejected](), list[int]()
    cleaning = CleaningConfig(controls=ControlsConfig(on=True))
    found = list(
        clean_documents(unit, reading, cleaning, changed, rejected.append, reported.append)
    )
    assert [[document.text for document in batch] for batch in found] == [
        ["one river", "two rivers"],
        ["three rivers"],
    ]
    assert changed == {"control characters removed": 1}
    assert [one.reason for one in rejected if one.broken] == ["not UTF-8"]
    assert sum(reported) == path.stat().st_size
