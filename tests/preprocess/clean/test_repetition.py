"""The vectorised rules of Gopher against the table of the paper written out in plain Python."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.config.parse import parse
from dslm.preprocess.clean.repetition import (
    REASONS,
    Repetition,
    RepetitionConfig,
    _order,
    repeated_shares,
)
from dslm.preprocess.document import Document
from dslm.preprocess.text.words import split

SETTINGS = RepetitionConfig()
NOTHING = dict.fromkeys(REASONS)
OFF = parse(RepetitionConfig, NOTHING)


def size(words: list[str]) -> int:
    return sum(map(len, words))


def duplicates(segments: list[str]) -> tuple[int, int]:
    """Segments that occurred before, and their characters."""
    again = [segment for at, segment in enumerate(segments) if segment in segments[:at]]
    return len(again), sum(size(segment.split()) for segment in again)


def plain(text: str, per_word: int = 1) -> dict[str, tuple[int, int]]:
    """Every fraction of table A1 for a text of plain ASCII, or of words of so many characters."""
    words = text.split()
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    found = {}
    for name, segments in (("line", lines), ("paragraph", paragraphs)):
        number, characters = duplicates(segments)
        found[f"{name}s"] = number, len(segments)
        found[f"{name}_characters"] = characters, size(words)
    for n in range(2, 11):
        long = n * per_word
        grams = [tuple(words[at : at + long]) for at in range(len(words) - long + 1)]
        often = Counter(grams)
        if n <= 4:
            top = max(((c, size(list(g))) for g, c in often.items() if c > 1), default=(0, 0))
            found[f"top_{n}_gram"] = top[0] * top[1], size(words)
        else:
            seen: set[tuple[str, ...]] = set()
            covered: set[int] = set()
            for at, gram in enumerate(grams):
                if gram in seen:
                    covered.update(range(at, at + long))
                seen.add(gram)
            found[f"repeated_{n}_grams"] = size([words[at] for at in covered]), size(words)
    return found


def measured(texts: list[str]) -> list[dict[str, tuple[int, int]]]:
    found: list[dict[str, tuple[int, int]]] = [{} for _ in texts]
    for name, part, whole in repeated_shares(split([Document(text) for text in texts])):
        for number, pair in enumerate(zip(part.tolist(), whole.tolist(), strict=True)):
            found[number][name] = pair
    return found


def random_text(generator: random.Random) -> str:
    words = generator.choices(
        ["a", "I", "of", "the", "three", "elephants."], k=generator.randrange(90)
    )
    return "".join(word + generator.choice([" ", " ", " ", "\n", "\n\n"]) for word in words)


def test_all_fractions_are_those_of_the_plain_computation() -> None:
    generator = random.Random(0)
    texts = [random_text(generator) for _ in range(200)]
    assert measured(texts) == [plain(text) for text in texts]


@given(st.lists(st.text("ab \n", max_size=60), max_size=4))
def test_the_fractions_agree_on_odd_texts_too(texts: list[str]) -> None:
    assert measured(texts) == [plain(text) for text in texts]


def test_a_document_is_judged_alone() -> None:
    generator = random.Random(1)
    texts = [random_text(generator) for _ in range(20)] * 2
    assert measured(texts) == [measured([text])[0] for text in texts]


def test_keys_that_differ_in_their_low_bits_alone_are_sorted_rightly() -> None:
    keys = np.array([5, 3, 5, 2, 3, 2**63, 4, 2**63 + 1, 2**63], np.uint64)
    assert _order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("name", list(REASONS))
def test_each_rule_leaves_out_what_exceeds_its_threshold_and_null_lets_it_pass(name: str) -> None:
    sentence = "Extraordinary misrepresentations notwithstanding undoubtedly we sat on a low mat"
    text = f"{sentence}\n\n{sentence}\n\n{sentence}"
    assert Repetition(OFF)([Document(text)], Counter()) == [None]
    only = parse(RepetitionConfig, {**NOTHING, name: getattr(SETTINGS, name)})
    part, whole = plain(text)[name]
    assert part > getattr(SETTINGS, name) * whole
    assert Repetition(only)([Document(text)], Counter()) == [REASONS[name]]


def test_a_share_equal_to_the_threshold_passes() -> None:
    text = "one two three\nfour five six\none two three\nseven eight nine"
    assert Repetition(replace(OFF, lines=0.25))([Document(text)], Counter()) == [None]
    assert Repetition(replace(OFF, lines=0.24))([Document(text)], Counter()) == ["repeated lines"]


def test_prose_and_documents_without_words_pass() -> None:
    prose = "Call me Ishmael. Some years ago, never mind how long precisely, I went to sea."
    documents = [Document(""), Document(" \n"), Document(prose)]
    assert Repetition(SETTINGS)(documents, Counter()) == [None, None, None]
    assert Repetition(SETTINGS)([], Counter()) == []


def test_two_chinese_characters_stand_for_a_word() -> None:
    generator = random.Random(2)
    texts = ["".join(generator.choices("山水日", k=generator.randrange(80))) for _ in range(50)]
    texts += [random_text(generator) for _ in range(50)]
    expected = [plain(" ".join(text), 2) if text[:1] in "山水日" else plain(text) for text in texts]
    names = [name for name in REASONS if name.endswith(("gram", "grams"))]
    for found, wanted in zip(measured(texts), expected, strict=True):
        assert [found[name] for name in names] == [wanted[name] for name in names]


def test_naming_a_subject_twice_is_no_repetition_in_chinese() -> None:
    text = "水运工程项目是我国航运的重要组成部分,重要性不言而喻.针对现阶段水运工程项目,提出对策."
    assert Repetition(SETTINGS)([Document(text)], Counter()) == [None]
