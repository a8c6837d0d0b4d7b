from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dslm.errors import DataError
from dslm.preprocess.clean.contamination import Contamination, ContaminationConfig, fingerprints
from dslm.preprocess.document import Document

QUESTION = (
    "What did the old captain say to the boy when the ship at last came into the harbour, and why?"
)
SHORT = "The seven wise owls never sleep before noon."  # eight words
ITEMS = [QUESTION, SHORT, "Yes.", "今天的考试题目是请用三句话说明春天为什么比冬天更受人们欢迎。"]


def contaminated(
    folder: Path, texts: list[str], items: list[str] = ITEMS, **settings: Any
) -> list[bool]:
    file = folder / "evaluation.txt"
    file.write_text("\n".join(items), encoding="utf-8")
    step = Contamination(ContaminationConfig(on=True, files=(str(file),), **settings))
    counts: Counter[str] = Counter()
    reasons = step([Document(text) for text in texts], counts)
    assert set(reasons) <= {None, "contamination"}
    assert not counts
    return [reason is not None for reason in reasons]


def plain_words(text: str) -> list[str]:
    """The normalization of Brown et al., written the slow way, for Latin and Chinese letters."""
    letters = "".join(c for c in text.lower() if c.isalnum() or c.isspace())
    return re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+", letters)


def overlap(text: str, items: list[str], length: int) -> float:
    """The share of a text's words that lie in an overlap, by comparing all runs with all."""
    runs: set[tuple[str, ...]] = set()
    for item in map(plain_words, items):
        if len(item) >= length:
            runs |= {tuple(item[i : i + length]) for i in range(len(item) - length + 1)}
        elif len(item) >= 8:
            runs.add(tuple(item))
    words = plain_words(text)
    covered: set[int] = set()
    for size in {len(run) for run in runs}:
        for start in range(len(words) - size + 1):
            if tuple(words[start : start + size]) in runs:
                covered.update(range(start, start + size))
    return len(covered) / max(1, len(words))


def test_thirteen_words_in_a_row_contaminate_and_twelve_do_not(tmp_path: Path) -> None:
    words = QUESTION.split()
    texts = [f"Before {' '.join(words[3 : 3 + count])} after." for count in (12, 13)]
    assert contaminated(tmp_path, texts) == [False, True]


def test_case_punctuation_and_line_breaks_do_not_hide_a_question(tmp_path: Path) -> None:
    hidden = QUESTION.upper().replace(",", " --").replace(" ", "\n ").replace("BOY", "“b'oy”")
    assert contaminated(tmp_path, [hidden]) == [True]


def test_a_short_item_counts_only_as_a_whole(tmp_path: Path) -> None:
    texts = [
        "He said: the seven wise owls never sleep before noon! And left.",
        "The seven wise owls never sleep before dawn.",
        "Yes.",
    ]
    assert contaminated(tmp_path, texts) == [True, False, False]


def test_chinese_is_compared_by_characters(tmp_path: Path) -> None:
    texts = [
        "老师说，请用三句话说明春天为什么比冬天好。",
        "老师说，请用三句话说明春天。",
    ]
    assert contaminated(tmp_path, texts) == [True, False]


def test_no_run_reaches_from_one_document_into_the_next(tmp_path: Path) -> None:
    words = QUESTION.split()
    assert contaminated(tmp_path, [" ".join(words[:9]), " ".join(words[9:])]) == [False, False]


def test_a_share_asks_for_more_than_one_overlap(tmp_path: Path) -> None:
    texts = [QUESTION, QUESTION + " word" * 21, QUESTION + " word" * 20, "word " * 50]
    assert contaminated(tmp_path, texts, share=0.5) == [True, False, True, False]


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("length", [8, 9, 13, 20])
def test_it_agrees_with_comparing_all_runs_with_all(
    tmp_path: Path, length: int, share: float
) -> None:
    generator = random.Random(length)
    vocabulary = ["A", "b,", "c", "春", "夏天", "d-e", "F"]

    def text(most: int) -> str:
        separators = [" ", "\n", ", "]
        count = generator.randrange(most)
        return "".join(
            generator.choice(vocabulary) + generator.choice(separators) for _ in range(count)
        )

    items = [text(30).replace("\n", " ") for _ in range(60)]
    texts = [text(60) for _ in range(300)] + [QUESTION, QUESTION + text(60)]
    expected = [overlap(t, [*items, QUESTION], length) for t in texts]
    found = contaminated(tmp_path, texts, [*items, QUESTION], words=length, share=share)
    assert found == [value > 0 and value >= share for value in expected]
    assert len(set(found)) == 2


def test_a_question_deep_in_a_very_long_text_is_found(tmp_path: Path) -> None:
    filler = "many words without end " * 20_000
    texts = [filler + QUESTION + filler, filler, "x" * 200_000 + " " + QUESTION, "春" * 100_000]
    assert contaminated(tmp_path, texts) == [True, False, True, False]


def test_a_document_is_judged_alike_in_any_company(tmp_path: Path) -> None:
    texts = ["nothing at all", QUESTION, "", "𠮷😀 é", SHORT, "\ud800 alone"] * 3
    alone = [contaminated(tmp_path, [text])[0] for text in texts]
    assert contaminated(tmp_path, texts) == alone == [False, True, False, False, True, False] * 3


def test_no_documents_give_no_reasons(tmp_path: Path) -> None:
    assert contaminated(tmp_path, []) == []


def test_items_are_read_from_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "evaluation.jsonl"
    file.write_text("\n".join(json.dumps({"question": item}) for item in ITEMS))
    settings = ContaminationConfig(on=True, files=(str(file),), text_key="question")
    assert Contamination(settings)([Document(QUESTION)], Counter()) == ["contamination"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\n[1]\n', "line 2: is no JSON object"),
        (b'{"answer": "a"}\n', "line 1: is no JSON object with text under the key 'text'"),
        (b'{"text": 7}\n', "line 1: is no JSON object with text"),
        (b"{\n", "line 1: is no JSON object"),
        (b'{"text": "\xff"}\n', "it is not UTF-8"),
        (b'{"text": "too short"}\n', "8 words"),
        (b"", "8 words"),
    ],
)
def test_a_file_that_is_no_evaluation_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "evaluation.jsonl"
    file.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        Contamination(ContaminationConfig(on=True, files=(str(file),)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    settings = ContaminationConfig(on=True, files=(str(tmp_path / "none.txt"),))
    with pytest.raises(DataError, match="No such file"):
        Contamination(settings)
    with pytest.raises(DataError, match="No such file"):
        fingerprints(settings)


def test_no_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"cleaning\.contamination\.files: no evaluation is given"):
        Contamination(ContaminationConfig(on=True))


def test_fingerprints_are_the_hashes_of_the_files_by_name(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    settings = ContaminationConfig(files=(str(tmp_path / "b.txt"), str(tmp_path / "a.txt")))
    assert fingerprints(settings) == {
        name: hashlib.sha256(name.encode()).hexdigest() for name in ("a.txt", "b.txt")
    }


def test_two_evaluations_of_one_name_are_refused(tmp_path: Path) -> None:
    settings = ContaminationConfig(files=(str(tmp_path / "1/a.txt"), str(tmp_path / "2/a.txt")))
    with pytest.raises(DataError, match="another evaluation has this name"):
        fingerprints(settings)
