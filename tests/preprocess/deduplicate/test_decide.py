"""Decisions against a brute force that compares everything with everything."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from helpers.deciding import decisions
from hypothesis import given
from hypothesis import strategies as st

from dslm.preprocess.deduplicate import near
from dslm.preprocess.deduplicate.decide import (
    DUPLICATE,
    NEAR_DUPLICATE,
    OF_KNOWN,
    REASONS,
    STAYS,
)
from dslm.preprocess.deduplicate.paragraphs import paragraphs
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.shingles import Shingles, shingles, similarity
from dslm.preprocess.deduplicate.signatures import signatures

Outcome = list[tuple[int, list[int]]]
"""The reason and the removed paragraphs of each document."""

LINES = st.lists(
    st.sampled_from(["a", "b", "a b", "a b c a", "c b a c b", "a b c a b c", "", "!"]), max_size=4
)
CORPORA = st.lists(LINES.map("\n".join), max_size=12)
SWITCHES = st.builds(
    Duplicates,
    documents=st.booleans(),
    paragraphs=st.booleans(),
    near=st.booleans(),
    threshold=st.sampled_from([0.4, 0.5, 0.8, 1.0]),
    paragraph_characters=st.integers(1, 4),
    shingle=st.integers(1, 3),
    bands=st.just(64),  # two near documents share at least one band, but for 0.6^64
    rows=st.just(1),
)


def run(
    texts: list[str],
    settings: Duplicates,
    cuts: tuple[int, ...] = (),
    known: int = 0,
    ranges: int = 16,
) -> Outcome:
    """The outcome for texts that are cut into parts, of which the first so many are known."""
    parts = [texts[begin:end] for begin, end in pairwise([0, *cuts, len(texts)])]
    signed = [signatures(part, settings) for part in parts]
    made = decisions(signed, settings, read(texts, settings), ranges, known)
    assert [len(d.reasons) for d in made] == [len(d.removed) for d in made] == [*map(len, parts)]
    return [
        (int(reason), decision.removed[row].tolist())
        for decision in made
        for row, reason in enumerate(decision.reasons)
    ]


def read(texts: list[str], settings: Duplicates) -> Callable[[int], Shingles]:
    return lambda number: shingles(texts[number], settings)


def shingle_set(text: str, length: int) -> set[tuple[str, ...]]:
    found = text.replace("!", " ").split()
    runs = {tuple(found[at : at + length]) for at in range(max(1, len(found) - length + 1))}
    return runs if found else set()


def brute_force(texts: list[str], settings: Duplicates, known: int = 0) -> Outcome:
    reasons = [STAYS] * len(texts)
    sets = [shingle_set(text, settings.shingle) for text in texts]
    if settings.documents:
        squeezed = ["".join(text.split()) for text in texts]
        again = [at >= known and key in squeezed[:at] for at, key in enumerate(squeezed)]
        reasons = [DUPLICATE if one else STAYS for one in again]
    for late in range(known, len(texts)) if settings.near else ():
        alike = (
            len(sets[late] & sets[early]) / len(sets[late] | sets[early]) >= settings.threshold
            for early in range(late)
            if reasons[early] == STAYS and sets[late]
        )
        if reasons[late] == STAYS and any(alike):
            reasons[late] = NEAR_DUPLICATE
    outcome, seen = [], set()
    for text, reason in zip(texts, reasons, strict=True):
        cut, rest = [], text
        spans = paragraphs(text, settings.paragraph_characters) if settings.paragraphs else []
        for number, (begin, end) in enumerate(spans if reason == STAYS else ()):
            if text[begin:end] in seen:
                cut.append(number)
                rest = rest[:begin] + " " * (end - begin) + rest[end:]
            seen.add(text[begin:end])
        outcome.append((DUPLICATE, []) if cut and not rest.strip() else (reason, cut))
    return outcome


@given(CORPORA, SWITCHES)
def test_the_decision_is_that_of_comparing_everything(
    texts: list[str], settings: Duplicates
) -> None:
    assert run(texts, settings) == brute_force(texts, settings)


@given(CORPORA, CORPORA, SWITCHES)
def test_documents_that_are_known_stay_and_are_compared_with(
    known: list[str], texts: list[str], settings: Duplicates
) -> None:
    both = [*known, *texts]
    found = run(both, settings, (len(known),), 1)[len(known) :]
    plain = [(reason - OF_KNOWN if reason > OF_KNOWN else reason, cut) for reason, cut in found]
    assert plain == brute_force(both, settings, len(known))[len(known) :]


@pytest.mark.parametrize("text", ["a b c a", "A B C A!"])
def test_a_document_says_whether_it_is_like_a_known_one(text: str) -> None:
    settings = Duplicates(documents=True, near=True, shingle=1, bands=64, rows=1)
    reasons = [reason for reason, _ in run([text, "x y", "a b c a", "x y"], settings, (1,), 1)]
    same = "duplicate" if text == "a b c a" else "near duplicate"
    assert [REASONS[reason] for reason in reasons] == [
        "",
        "",
        f"{same} of an existing set",
        "duplicate",
    ]


def greedy(texts: list[str], settings: Duplicates, most: int) -> list[int]:
    """Near duplicates in input order, with all buckets in one dictionary."""
    sets = [shingle_set(text, settings.shingle) for text in texts]
    bands = signatures(texts, settings).bands
    kept: dict[tuple[int, int], list[int]] = {}
    reasons = []
    for late, found in enumerate(sets):
        mine = [(band, int(hashes[late])) for band, hashes in enumerate(bands)] if found else []
        likely = {early for bucket in mine for early in kept.get(bucket, [])}
        alike = (len(found & sets[early]) / len(found | sets[early]) for early in likely)
        near_to = any(one >= settings.threshold for one in alike)
        reasons.append(NEAR_DUPLICATE if near_to else STAYS)
        for bucket in [] if near_to else mine:
            if len(kept.setdefault(bucket, [])) < most:
                kept[bucket].append(late)
    return reasons


@given(CORPORA, st.sampled_from([0.3, 0.5, 0.8]), st.integers(1, 3), st.integers(1, 9), st.data())
def test_buckets_fill_in_input_order_however_the_work_is_divided(
    texts: list[str], threshold: float, most: int, ranges: int, data: st.DataObject
) -> None:
    settings = Duplicates(near=True, bands=3, rows=1, shingle=1, threshold=threshold)
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=5).map(sorted))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "MOST_KEPT", most)
        found = run(texts, settings, tuple(cuts), ranges=ranges)
    assert [reason for reason, _ in found] == greedy(texts, settings, most)


@given(CORPORA, SWITCHES, st.integers(1, 20), st.data())
def test_how_the_work_is_divided_changes_nothing(
    texts: list[str], settings: Duplicates, ranges: int, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=5).map(sorted))
    known = data.draw(st.integers(0, len(cuts)))
    first = cuts[known - 1] if known else 0
    plenty = run(texts, settings, (first,), min(known, 1), 1)
    assert run(texts, settings, tuple(cuts), known, ranges) == plenty


def test_a_document_goes_that_is_just_as_similar_as_the_threshold_asks() -> None:
    settings = Duplicates(near=True, shingle=1, threshold=0.5, bands=64, rows=1)
    assert [reason for reason, _ in run(["a b", "a", "c"], settings)] == [0, NEAR_DUPLICATE, 0]


def test_a_document_does_not_go_because_of_one_that_goes() -> None:
    numbers = [str(number) for number in range(100)]
    chain = [" ".join(numbers[begin : begin + 60]) for begin in (0, 8, 16)]
    settings = Duplicates(near=True, shingle=1, threshold=0.7, bands=64, rows=1)
    assert [reason for reason, _ in run(chain, settings)] == [STAYS, NEAR_DUPLICATE, STAYS]


def test_a_paragraph_keeps_a_copy_when_the_first_goes_with_its_document() -> None:
    story = " ".join(map(str, range(50)))
    texts = [story, f"{story}\nan added end", "another story\nan added end"]
    settings = Duplicates(near=True, paragraphs=True, paragraph_characters=10)
    assert run(texts, settings) == [(STAYS, []), (NEAR_DUPLICATE, []), (STAYS, [])]


def test_chinese_documents_with_a_character_changed_are_near() -> None:
    letters = "".join(chr(0x4E00 + 7 * number) for number in range(300))
    texts = [letters, letters[:150] + "的" + letters[151:], letters[::-1]]
    assert [reason for reason, _ in run(texts, Duplicates(near=True))] == [
        STAYS,
        NEAR_DUPLICATE,
        STAYS,
    ]


def test_texts_without_words_are_equal_but_never_near() -> None:
    texts = ["", "...", "?!", "", "..."]
    assert [reason for reason, _ in run(texts, Duplicates(near=True))] == [STAYS] * 5
    found = run(texts, Duplicates(near=True, documents=True))
    assert [REASONS[reason] for reason, _ in found] == ["", "", "", "duplicate", "duplicate"]


def test_thousands_of_equal_documents_are_each_read_once() -> None:
    texts, settings = ["the same few words in every document"] * 3000, Duplicates(near=True)
    reads: list[int] = []

    def shingles_of(number: int) -> Shingles:
        reads.append(number)
        return shingles(texts[number], settings)

    (found,) = decisions([signatures(texts, settings)], settings, shingles_of)
    assert found.reasons.tolist() == [STAYS] + [NEAR_DUPLICATE] * 2999
    assert len(reads) == 3000


@pytest.mark.parametrize("cuts", [[], [2], [1, 3, 4]])
def test_a_full_bucket_is_compared_with_its_first_documents_only(
    monkeypatch: pytest.MonkeyPatch, cuts: list[int]
) -> None:
    texts, settings = ["a", "b", "c", "c", "a"], Duplicates(near=True, bands=1, rows=1)
    parts = [signatures(texts[begin:end], settings) for begin, end in pairwise([0, *cuts, 5])]
    for part in parts:
        part.bands[0][:] = 1
    expected = {32: [STAYS] * 3 + [NEAR_DUPLICATE] * 2, 2: [STAYS] * 4 + [NEAR_DUPLICATE]}
    for most, reasons in expected.items():
        monkeypatch.setattr(near, "MOST_KEPT", most)
        found = decisions(parts, settings, read(texts, settings))
        assert [reason for one in found for reason in one.reasons.tolist()] == reasons


@given(texts=CORPORA, settings=SWITCHES)
def test_what_does_not_fit_into_memory_is_read_again(
    texts: list[str], settings: Duplicates
) -> None:
    plenty = run(texts, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "CACHED", 1)
        assert run(texts, settings) == plenty


def planted(count: int) -> tuple[list[str], int]:
    """Texts of drawn words, and after them one edited copy of each, 1-20 % of the words changed."""
    random = np.random.default_rng(0)
    texts = [random.integers(0, 20000, random.integers(100, 500)) for _ in range(count)]
    copies = []
    for number, text in enumerate(texts):
        changed = random.random(text.size) < 0.01 + 0.19 * (number / count) ** 4
        copies.append(np.where(changed, random.integers(0, 20000, text.size), text))
    return [" ".join(map(str, text.tolist())) for text in [*texts, *copies]], count


@pytest.mark.parametrize("cuts", [(), (300, 600, 1000)])
def test_planted_near_duplicates_are_found_and_nothing_else_is(cuts: tuple[int, ...]) -> None:
    settings = Duplicates(near=True)
    texts, originals = planted(600)
    sets = [shingles(text, settings) for text in texts]
    alike = np.array([similarity(sets[at], sets[at + originals]) for at in range(originals)])
    reasons = np.array([reason for reason, _ in run(texts, settings, cuts)])
    assert not reasons[:originals].any()
    found = reasons[originals:] == NEAR_DUPLICATE
    assert (alike >= 0.8).sum() > 200 < (alike < 0.8).sum()
    assert found[alike >= 0.8].mean() >= 0.95
    assert not found[alike < 0.8].any()
