from __future__ import annotations

import random
from typing import Any

import pytest
from helpers.needs import oracle
from hypothesis import given
from hypothesis import strategies as some

from dslm.errors import DataError
from dslm.metrics.entities import (
    PREFIXES,
    Entity,
    Scheme,
    counts,
    entities,
    over_characters,
    over_words,
    scores,
    scores_by_kind,
    tags_of,
)

CLASSES: dict[Scheme, str] = {"BIO": "IOB2", "IOB1": "IOB1", "BIOES": "IOBES"}
SCHEMES = sorted(CLASSES)
KINDS = ("PER", "LOC", "人-x")


def texts(scheme: Scheme | None, seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Random tags of 20 texts, and others that often agree with them."""
    drawn = random.Random(seed)
    tags = ["O", "O"] + [f"{prefix}-{kind}" for prefix in PREFIXES[scheme] for kind in KINDS]
    tags += list(PREFIXES[scheme])  # without a kind
    gold = [drawn.choices(tags, k=drawn.randrange(9)) for _ in range(20)]
    change = drawn.choice([0.1, 0.5, 1])
    predicted = [
        [drawn.choice(tags) if drawn.random() < change else tag for tag in text] for text in gold
    ]
    return gold, predicted


def by_seqeval(gold: Any, predicted: Any, scheme: Scheme | None, average: str | None) -> Any:
    """Precision, recall and F1, in the strict mode when there is a scheme."""
    if scheme is None:
        module, options = oracle("seqeval.metrics.sequence_labeling"), {}
    else:
        module = oracle("seqeval.metrics.v1")
        options = {"scheme": getattr(oracle("seqeval.scheme"), CLASSES[scheme])}
    found = module.precision_recall_fscore_support(
        gold, predicted, average=average, zero_division=0, **options
    )
    return found[:3]


@pytest.mark.parametrize("scheme", [None, *SCHEMES])
def test_scores_are_those_of_seqeval(scheme: Scheme | None) -> None:
    for seed in range(100):
        gold, predicted = texts(scheme, seed)
        found = [[entities(tags, scheme) for tags in texts] for texts in (gold, predicted)]
        assert tuple(scores(counts(*found))) == by_seqeval(gold, predicted, scheme, "micro")
        each = list(zip(*scores_by_kind(*found).values(), strict=True))
        expected = by_seqeval(gold, predicted, scheme, None)
        assert each == [tuple(values) for values in expected]


@pytest.mark.parametrize("scheme", [None, *SCHEMES])
def test_nothing_to_find_and_nothing_found_score_0_as_in_seqeval(scheme: Scheme | None) -> None:
    one, none = [["B-PER", "E-PER" if scheme == "BIOES" else "I-PER"]], [["O", "O"]]
    for gold, predicted in [(none, none), (one, none), (none, one)]:
        found = [[entities(tags, scheme) for tags in texts] for texts in (gold, predicted)]
        assert scores(counts(*found)) == (0, 0, 0)
        assert by_seqeval(gold, predicted, scheme, "micro") == (0, 0, 0)


SPANS = some.lists(some.tuples(some.sampled_from(KINDS), some.integers(1, 3), some.integers(0, 2)))


@pytest.mark.parametrize("scheme", SCHEMES)
@given(drawn=SPANS)
def test_entities_become_tags_and_tags_entities(
    scheme: Scheme, drawn: list[tuple[str, int, int]]
) -> None:
    spans, end = [], 0
    for kind, length, space in drawn:
        spans.append(Entity(kind, end + space, end + space + length))
        end += space + length
    tags = tags_of(spans, end + 1, scheme)
    assert len(tags) == end + 1
    assert entities(tags, scheme) == entities(tags) == set(spans)


def test_each_scheme_marks_the_same_entities_in_its_own_way() -> None:
    spans = [Entity("PER", 0, 2), Entity("PER", 2, 3), Entity("LOC", 3, 4)]
    written = {scheme: " ".join(tags_of(spans, 5, scheme)) for scheme in SCHEMES}
    assert written == {
        "BIO": "B-PER I-PER B-PER B-LOC O",
        "IOB1": "I-PER I-PER B-PER I-LOC O",
        "BIOES": "B-PER E-PER S-PER S-LOC O",
    }


@pytest.mark.parametrize("span", [(0, 0), (1, 4), (-1, 1), (1, 2)])
def test_an_entity_outside_the_text_or_over_another_has_no_tags(span: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="within the text of 3 words and beyond the entity"):
        tags_of([Entity("PER", 1, 3), Entity("LOC", *span)], 3, "BIO")


def test_entities_over_characters_are_entities_over_words_and_back() -> None:
    words = [(0, 3), (4, 8), (8, 9)]  # Ada lebt.
    of_characters = {Entity("PER", 0, 3), Entity("MISC", 4, 9)}
    of_words = {Entity("PER", 0, 1), Entity("MISC", 1, 3)}
    assert over_words(of_characters, words) == of_words
    assert over_characters(of_words, words) == of_characters


@pytest.mark.parametrize("span", [(0, 2), (3, 8), (5, 9)])
def test_an_entity_that_cuts_a_word_is_none_over_words(span: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r"entity = \('PER', .*: ends where no word ends"):
        over_words([Entity("PER", *span)], [(0, 3), (4, 8), (8, 9)])


@pytest.mark.parametrize("tag", ["X-PER", "", "BPER", "o", "-PER"])
def test_what_is_no_tag_is_named_with_its_place(tag: str) -> None:
    with pytest.raises(DataError, match=f"tag 1 = '{tag}': not O, and not one of B, I, E, S"):
        entities(["O", tag])


def test_a_tag_of_another_scheme_is_a_mistake_as_in_seqeval() -> None:
    with pytest.raises(DataError, match="tag 0 = 'S-PER': not O, and not one of B, I with a kind"):
        entities(["S-PER"], "IOB1")
    with pytest.raises(ValueError, match="Invalid token"):
        by_seqeval([["S-PER"]], [["O"]], "IOB1", "micro")


def test_no_text_is_a_mistake() -> None:
    with pytest.raises(DataError, match="records = 0"):
        counts([], [])
