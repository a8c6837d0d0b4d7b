from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from dslm.errors import DataError
from dslm.preprocess.document import Rejected
from dslm.preprocess.work.rejects import Rejects, check_broken
from dslm.shards.statistics import EXAMPLES, Statistics

NAMES = ("a.txt", "b.jsonl")
BROKEN = Rejected(1, 17, "not JSON", "line 2", '{"te', broken=True)
UNWANTED = Rejected(0, 3, "too short", text="短い")


def test_reasons_are_counted_in_the_order_of_their_names() -> None:
    statistics = Statistics()
    with Rejects(statistics, NAMES, 100, None) as reject:
        for rejected in (UNWANTED, BROKEN, UNWANTED, Rejected(0, 9, "duplicate")):
            reject(rejected)
    assert list(statistics.left_out.items()) == [("duplicate", 1), ("too short", 2)]
    assert statistics.broken == {"not JSON": 1}
    assert statistics.examples == ["b.jsonl: not JSON (line 2)"]


def test_records_are_written_aside_with_their_reason_and_the_same_bytes_every_time(
    tmp_path: Path,
) -> None:
    packed = []
    for _ in range(2):
        with Rejects(Statistics(), NAMES, 100, tmp_path / "aside") as reject:
            reject(UNWANTED)
            reject(BROKEN)
        packed.append((tmp_path / "aside").read_bytes())
    assert packed[0] == packed[1]
    lines = [json.loads(line) for line in gzip.decompress(packed[0]).decode().splitlines()]
    assert lines == [
        {"input": "a.txt", "place": 3, "reason": "too short", "detail": "", "text": "短い"},
        {
            "input": "b.jsonl",
            "place": 17,
            "reason": "not JSON",
            "detail": "line 2",
            "text": '{"te',
        },
    ]


def test_text_that_is_no_unicode_can_be_written_aside(tmp_path: Path) -> None:
    with Rejects(Statistics(), NAMES, 100, tmp_path / "aside") as reject:
        reject(Rejected(0, 0, "half a surrogate pair", text="a\ud800", broken=True))
    assert json.loads(gzip.decompress((tmp_path / "aside").read_bytes()))["text"] == "a\ud800"


def test_one_broken_record_too_many_stops() -> None:
    with Rejects(Statistics(), NAMES, 2, None) as reject:
        reject(BROKEN)
        reject(BROKEN)
        reported = r"--max-bad = 2: 3 records are broken; mend the input"
        with pytest.raises(DataError, match=reported):
            reject(BROKEN)


def test_documents_that_are_not_wanted_never_stop() -> None:
    with Rejects(Statistics(), NAMES, 0, None) as reject:
        for _ in range(3):
            reject(UNWANTED)


def test_no_more_than_a_few_are_described() -> None:
    statistics = Statistics()
    with Rejects(statistics, NAMES, 1000, None) as reject:
        for _ in range(EXAMPLES + 5):
            reject(BROKEN)
    assert len(statistics.examples) == EXAMPLES
    with pytest.raises(DataError) as caught:
        check_broken(25, statistics.examples, 0)
    assert len(caught.value.problems) == 6
    assert str(caught.value.problems[0]) == "b.jsonl: not JSON (line 2)"
