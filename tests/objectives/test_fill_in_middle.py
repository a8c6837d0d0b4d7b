"""Fill in the middle: within documents, nothing lost but the end of a full row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.objective_kinds import SPECIAL, made
from hypothesis import given, settings
from hypothesis import strategies as st

from dslm.objectives.batch import IGNORE
from dslm.sampling.stream import Samples

BEFORE, BEHIND, BETWEEN = MARKS = [100, 101, 102]
WIDTH = 25
BOS, EOS = 90, SPECIAL["eos"]


def samples_of(numbers: range) -> Samples:
    """Rows of one document each in which no token is twice."""
    order = np.array(numbers)
    tokens = np.stack([np.random.default_rng(n).permutation(84)[:WIDTH] + 6 for n in numbers])
    return Samples(tokens, order, order)


def rows(numbers: range, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """The texts, and the rows that the objective makes of them."""
    samples = samples_of(numbers)
    inputs, labels = made("causal", WIDTH - 1, **settings).batch(samples)
    whole = np.concatenate([inputs.numpy(), labels.numpy()[:, -1:]], axis=1)
    assert np.array_equal(whole[:, 1:], labels.numpy())
    return samples.tokens, whole


def restored(row: np.ndarray) -> np.ndarray:
    """The text of a rearranged row, by its marks."""
    before, behind, between = (row.tolist().index(mark) for mark in MARKS)
    assert before == 0
    prefix, suffix = row[1:behind], row[behind + 1 : between]
    if behind == 1:  # the suffix came first: prefix and middle are in one piece
        return np.concatenate([row[between + 1 :], suffix])
    return np.concatenate([prefix, row[between + 1 :], suffix])


@pytest.mark.parametrize("suffix_first", [0.0, 0.5, 1.0])
def test_nothing_of_a_text_is_lost_but_its_last_three_tokens(suffix_first: float) -> None:
    texts, made_of = rows(range(300), fill_in_middle=1.0, suffix_first=suffix_first)
    for text, row in zip(texts, made_of, strict=True):
        assert np.array_equal(restored(row), text[:-3])


def test_the_shares_of_rows_and_of_their_orders_are_those_of_the_settings() -> None:
    texts, made_of = rows(range(4000), fill_in_middle=0.3, suffix_first=0.8)
    rearranged = made_of[:, 0] == BEFORE
    assert rearranged.mean() == pytest.approx(0.3, abs=0.025)
    assert np.array_equal(made_of[~rearranged], texts[~rearranged])
    # Nothing but an empty prefix looks the same, one row in some hundred.
    assert (made_of[rearranged, 1] == BEHIND).mean() == pytest.approx(0.8 + 0.2 * 2 / 23, abs=0.035)


def test_every_cut_of_a_text_can_be_drawn() -> None:
    _, made_of = rows(range(4000), fill_in_middle=1.0, suffix_first=0.0)
    prefixes = [row.tolist().index(BEHIND) - 1 for row in made_of]
    middles = [WIDTH - 1 - row.tolist().index(BETWEEN) for row in made_of]
    assert set(prefixes) == set(middles) == set(range(WIDTH - 2))
    assert np.mean(middles) == pytest.approx((WIDTH - 3) / 3, abs=0.5)


def test_a_row_follows_from_its_sample_number_alone() -> None:
    _, whole = rows(range(24), fill_in_middle=0.5)
    for share in (1, 3, 8):
        pieces = [rows(range(n, n + share), fill_in_middle=0.5)[1] for n in range(0, 24, share)]
        assert np.array_equal(np.concatenate(pieces), whole)


def test_another_epoch_cuts_the_same_text_elsewhere() -> None:
    objective, first = made("causal", WIDTH - 1, fill_in_middle=1.0), samples_of(range(5))
    later = Samples(first.tokens, first.numbers + 1000, first.indices)
    assert not np.array_equal(objective.batch(first)[0], objective.batch(later)[0])


def test_the_marks_are_ids_of_its_own_and_only_then() -> None:
    assert made("causal", fill_in_middle=0.5).extra_ids == 3
    assert made("causal").extra_ids == 0


def undone(row: np.ndarray) -> list[int]:
    """A row with each of its documents as it was, by its marks."""
    found: list[int] = []
    for piece in np.split(row, np.flatnonzero(row == EOS) + 1):
        begin, end = (int(BOS in piece[:1]), piece.size - int(EOS in piece[-1:]))
        text = piece[begin:end]
        if BEFORE in text:
            assert np.isin(text, MARKS).sum() == 3
            text = restored(text)
        found += [*piece[:begin].tolist(), *text.tolist(), *piece[end:].tolist()]
    return found


texts = st.lists(st.integers(6, 89), max_size=12).map(lambda text: [*text, EOS])


@given(
    documents=st.lists(texts, min_size=1, max_size=12),
    begun=st.booleans(),
    room=st.integers(1, 30),
    number=st.integers(0, 10_000),
    shares=st.tuples(st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])),
    borders=st.booleans(),
    padding=st.sampled_from([EOS, SPECIAL["pad"]]),
    cut=st.integers(0, 5),
)
@settings(max_examples=300, deadline=None)
def test_any_documents_are_rearranged_each_within_itself(
    documents: list[list[int]],
    begun: bool,
    room: int,
    number: int,
    shares: tuple[float, float],
    borders: bool,
    padding: int,
    cut: int,
) -> None:
    begin = [BOS] if begun else []
    text = [token for document in documents for token in [*begin, *document]]
    text = text[: max(2, len(text) - cut)]
    row = np.array([*text, *[padding] * room])
    numbers = np.array([number])
    objective = made(
        "causal",
        row.size - 1,
        special={**SPECIAL, "bos": BOS},
        borders=borders,
        padded=True,
        fill_in_middle=shares[0],
        suffix_first=shares[1],
    )
    inputs, labels = objective.batch(Samples(row[None], numbers, numbers, np.array([len(text)])))
    ids, *extras = inputs if borders else (inputs,)
    size = 1 + int((labels[0] != IGNORE).sum())
    made_of = np.append(ids[0, :1], labels[0, : size - 1])
    assert np.array_equal(ids[0, :size], made_of[: row.size - 1])
    moved = int((made_of == BEFORE).sum())
    whole = undone(made_of)
    assert whole == text[: len(whole)]
    assert size == min(row.size, len(text) + 3 * moved) == len(whole) + 3 * moved
    assert (ids[0, size:] == padding).all()
    pieces = np.split(made_of, np.flatnonzero(made_of == EOS) + 1)
    for document, piece in zip(documents, pieces, strict=False):  # the last may be empty
        assert (BEFORE not in piece) or len(document) - 1 >= 4
    if borders:
        ends = np.cumsum(made_of == EOS)[: row.size - 1]
        assert extras[0][0, : ends.size].tolist() == (1 + ends).tolist()


def test_what_is_held_out_is_measured_as_it_is_and_all_of_it_rearranged() -> None:
    samples, rare = samples_of(range(50)), made("causal", WIDTH - 1, fill_in_middle=0.01)
    names = rare.held_out()
    assert list(names) == ["loss", "fim_loss"]
    inputs, labels = names["loss"](samples)
    assert np.array_equal(inputs, samples.tokens[:, :-1])
    assert np.array_equal(labels, samples.tokens[:, 1:])
    assert (names["fim_loss"](samples)[0] == BEFORE).any(dim=1).all()
    assert list(made("causal").held_out()) == ["loss"]


@pytest.mark.parametrize("width", range(1, 9))
def test_rows_of_any_length_can_be_rearranged(width: int) -> None:
    numbers = np.arange(40)
    rows = np.arange(6, 6 + width) * np.ones((40, 1), dtype=np.int64)
    objective = made("causal", 8, fill_in_middle=1.0)
    inputs, labels = objective.batch(Samples(rows, numbers, numbers))
    assert inputs.shape == labels.shape == (40, width - 1)
    assert bool((inputs == BEFORE).any()) == (width - 3 >= 4)
