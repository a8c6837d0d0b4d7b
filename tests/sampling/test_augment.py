from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from pydantic import ValidationError

from dslm.arrays import Flags, Int64Array, Tokens
from dslm.sampling.augment import AugmentationConfig, Tables, augment, lower_cased, margin

END = 1
PIECES = ["<unk>", "</s>", "▁The", "▁the", "▁THE", "▁Rhine", "▁stone", "▁falls", "<0x0A>", "."]
COUNTS = np.array([5, 90, 10, 60, 0, 1, 20, 4, 3, 2])
TABLES = Tables.build(PIECES, COUNTS, [0], END)
ORDINARY = np.arange(2, 10)


def rows_of(count: int, width: int) -> np.ndarray:
    rows = np.random.default_rng(0).choice(ORDINARY, (count, width)).astype(np.uint16)
    rows[:, 13::40] = END
    return rows


def changed(
    rows: Tokens,
    length: int,
    settings: AugmentationConfig,
    samples: Int64Array | None = None,
    sentences: Flags | None = None,
    seed: int = 3,
) -> Tokens:
    samples = np.arange(len(rows)) if samples is None else samples
    sentences = rows == 9 if sentences is None else sentences
    return augment(rows, sentences, samples, length, settings, seed, TABLES)


EVERYTHING = AugmentationConfig(shuffle_sentences=True, drop=0.1, replace=0.2, lower_case=0.5)


def test_nothing_is_changed_unless_asked_for() -> None:
    rows = rows_of(4, 100)
    assert np.array_equal(changed(rows, 80, AugmentationConfig()), rows[:, :80])


def test_a_row_is_changed_alike_in_any_batch() -> None:
    rows = rows_of(8, 300)
    together = changed(rows, 256, EVERYTHING)
    assert together.shape == (8, 256)
    assert together.dtype == rows.dtype
    for number in (0, 5):
        alone = changed(rows[number : number + 1], 256, EVERYTHING, np.array([number]))
        assert np.array_equal(alone[0], together[number])


def test_another_sample_number_or_seed_makes_other_changes() -> None:
    rows = np.tile(rows_of(1, 300), (2, 1))
    first, second = changed(rows, 256, EVERYTHING)
    assert not np.array_equal(first, second)
    assert not np.array_equal(changed(rows, 256, EVERYTHING, seed=4)[0], first)


def test_rows_that_come_in_are_left_alone() -> None:
    rows = rows_of(4, 300)
    before = rows.copy()
    changed(rows, 256, EVERYTHING)
    assert np.array_equal(rows, before)


@pytest.mark.parametrize("settings", [EVERYTHING, AugmentationConfig(replace=1.0, lower_case=1.0)])
def test_ends_of_documents_stay_and_no_special_id_appears(settings: AugmentationConfig) -> None:
    rows = rows_of(20, 300)
    out = changed(rows, 256, settings)
    assert not np.any(out == 0)
    if not settings.drop:
        assert np.array_equal(out == END, rows[:, :256] == END)


def test_dropping_keeps_the_order_and_fills_from_behind() -> None:
    rows = np.arange(1000, dtype=np.int64)[None]
    tables = Tables.build([str(n) for n in rows[0]], np.ones(1000, dtype=int), [], 0)
    settings = AugmentationConfig(drop=0.1)
    (out,) = augment(rows, rows > 0, np.array([7]), 850, settings, 3, tables)
    assert np.all(np.diff(out) > 0)
    assert 900 < out[-1] < 990  # 850 / 0.9 = 944, give or take


def test_the_share_of_dropped_tokens_is_the_one_asked_for() -> None:
    width = 10_000
    rows = np.full((4, width), 6)
    marked = rows.copy()
    marked[:, 5000:] = 7  # where the second half begins shows what the first has lost
    out = changed(marked, width - margin(width, 0.2), AugmentationConfig(drop=0.2))
    lost = 1 - np.count_nonzero(out == 6, axis=1) / 5000
    assert np.all(np.abs(lost - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 5000))


def test_no_more_is_dropped_than_the_margin_allows() -> None:
    rows = rows_of(4, 110)
    out = changed(rows, 100, AugmentationConfig(drop=0.9))
    assert out.shape == (4, 100)
    for before, after in zip(rows, out, strict=True):
        assert np.array_equal(before[-60:], after[-60:])


def test_replacements_occur_as_often_as_in_the_corpus() -> None:
    rows = np.full((50, 1000), 8)
    found = np.bincount(changed(rows, 1000, AugmentationConfig(replace=1.0)).ravel(), minlength=10)
    expected = 50_000 * COUNTS / COUNTS[2:].sum()
    ordinary = np.flatnonzero(COUNTS[2:]) + 2
    assert found.sum() == found[ordinary].sum()
    difference = found[ordinary] - expected[ordinary]
    assert np.sum(difference**2 / expected[ordinary]) < 22.5  # chi squared, 6 degrees, p = 0.001


def test_sentences_change_places_within_their_document() -> None:
    tables = Tables.build([str(n) for n in range(20)], np.ones(20, dtype=int), [], END)
    documents = [[[10, 11], [12], [13, 14, 15]], [[5], [6, 7], [8], [9]]]
    row = [*chain(*documents[0]), END, *chain(*documents[1]), END]
    sentences = np.isin(row, [10, 12, 13, 5, 6, 8, 9])
    rows, all_sentences = np.tile(row, (200, 1)), np.tile(sentences, (200, 1))
    settings = AugmentationConfig(shuffle_sentences=True)
    out = augment(rows, all_sentences, np.arange(200), 13, settings, 0, tables)
    seen = set()
    for after in out.tolist():
        assert after[6] == after[12] == END
        for document, part in zip(documents, (after[:6], after[7:12]), strict=True):
            order = sorted(document, key=lambda sentence: part.index(sentence[0]))
            assert [*chain(*order)] == part
        seen.add(tuple(after))
    assert len(seen) > 90  # of 6 x 24 orders; 108 expected


def test_small_letters_are_used_where_the_vocabulary_has_them() -> None:
    rows = np.array([[2, 3, 4, 5, 6, END]])
    (out,) = changed(rows, 6, AugmentationConfig(lower_case=1.0))
    assert out.tolist() == [3, 3, 3, 5, 6, END]


def test_a_row_is_lower_cased_whole_or_not_at_all() -> None:
    out = changed(np.full((400, 30), 2), 30, AugmentationConfig(lower_case=0.25))
    lowered = (out == 3).sum(axis=1)
    assert set(lowered.tolist()) == {0, 30}
    assert abs(np.mean(lowered == 30) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)


def test_the_table_of_small_letters_falls_back_to_the_piece_itself() -> None:
    assert lower_cased(PIECES).tolist() == [0, 1, 3, 3, 3, 5, 6, 7, 8, 9]


def test_parts_of_characters_that_decode_alike_are_not_mixed_up() -> None:
    assert lower_cased(["\ufffd", "a", "\ufffd", "A"]).tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize("drop", [0.01, 0.15, 0.5])
def test_the_margin_suffices(drop: float) -> None:
    width = 512 + margin(512, drop)
    kept = np.random.default_rng(0).binomial(width, 1 - drop, 100_000)
    assert kept.min() >= 512


@pytest.mark.parametrize("values", [{"drop": 1.0}, {"replace": -0.1}, {"lower_case": 2.0}])
def test_shares_are_between_nothing_and_everything(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AugmentationConfig(**values)
