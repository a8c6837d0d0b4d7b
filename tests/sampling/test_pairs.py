from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.shard_sets import MakeSet

from dslm.arrays import Int64Array
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.sampling.pairs import PairRows, Relation, check_pairs, unrelated
from dslm.sampling.stream import Stream
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer

SEQUENCE = 40


@pytest.fixture
def documents(tmp_path: Path, unigram: Path) -> ShardSet:
    """Many documents, of which the first word of every sentence names document and sentence."""
    draw = np.random.default_rng(0)
    lines = []
    for number in range(60):
        count = int(draw.integers(1, 12))
        lines.append(" ".join(f"The stone {number} falls {k}." for k in range(count)))
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    plan = ShardingConfig(unigram, reading=ReadingConfig(documents="line"), shard_size=1500)
    return shard([tmp_path / "lines.txt"], tmp_path / "pairs", plan)[0]


@pytest.fixture
def special(documents: ShardSet) -> dict[str, int]:
    return load_tokenizer(documents.tokenizer).special


def pairs_of(
    shards: ShardSet,
    special: dict[str, int],
    relation: Relation = "next_sentence",
    short: float = 0.1,
    seed: int = 3,
    sequence: int = SEQUENCE,
) -> PairRows:
    return PairRows(shards, sequence, relation, special, short, seed)


def many(source: PairRows, count: int) -> tuple[Int64Array, Int64Array]:
    """Samples of several epochs, so that every row is seen in several ways."""
    numbers = np.arange(count)
    return numbers % len(source), numbers


def test_a_row_is_two_segments_between_special_tokens(
    documents: ShardSet, special: dict[str, int]
) -> None:
    source = pairs_of(documents, special)
    indices, numbers = many(source, 200)
    for row, index, number in zip(source.rows(indices, numbers), indices, numbers, strict=True):
        (a, b), (c, d) = source.token_spans(int(index), int(number))
        first, second = (documents.windows(np.array([s]), e - s)[0] for s, e in ((a, b), (c, d)))
        filled = [special["cls"], *first, special["sep"], *second, special["sep"]]
        assert row[: len(filled)].tolist() == filled
        assert set(row[len(filled) :].tolist()) <= {special["pad"]}
        assert b > a
        assert d > c


def test_half_of_the_pairs_belong_together() -> None:
    coins = unrelated(7, np.arange(20_000))
    assert coins.mean() == pytest.approx(0.5, abs=0.01)
    assert abs(np.corrcoef(coins[1:], coins[:-1])[0, 1]) < 0.03


def test_segments_that_belong_together_follow_each_other_in_one_document(
    documents: ShardSet, special: dict[str, int]
) -> None:
    source = pairs_of(documents, special)
    for index, number in zip(*many(source, 400), strict=True):
        (a, b), (c, d) = source.token_spans(int(index), int(number))
        first, last = documents.documents_at(np.array([a, d - 1]))
        if unrelated(3, np.array([number]))[0]:
            assert documents.documents_at(np.array([c]))[0] != first
            assert documents.documents_at(np.array([b - 1]))[0] == first
            assert documents.documents_at(np.array([c]))[0] == last
        else:
            assert b == c
            assert first == last


def test_segments_are_whole_sentences_where_the_row_allows(
    documents: ShardSet, special: dict[str, int]
) -> None:
    source = pairs_of(documents, special, short=0.0, sequence=200)
    for index, number in zip(*many(source, 200), strict=True):
        runs = source.token_spans(int(index), int(number))
        full = sum(end - start for start, end in runs) == 200 - 3
        for start, end in runs:
            document = int(documents.documents_at(np.array([start]))[0])
            first, last = documents.document(document)
            starts = set((first + documents.sentences_of(document)).tolist())
            alone = len(starts) == 1
            assert start in starts or alone
            assert end in starts or end == last - 1 or alone or full


def test_the_random_half_comes_from_everywhere(
    documents: ShardSet, special: dict[str, int]
) -> None:
    source = pairs_of(documents, special)
    seen = set()
    for index, number in zip(*many(source, 1500), strict=True):
        if unrelated(3, np.array([number]))[0]:
            start = source.token_spans(int(index), int(number))[1][0]
            seen.add(int(documents.documents_at(np.array([start]))[0]))
    assert len(seen) > 0.9 * documents.documents


def test_what_follows_and_what_is_random_begin_with_sentences_of_one_length(
    tmp_path: Path, unigram: Path
) -> None:
    """A random token is more often in a long sentence, a random sentence is not longer."""
    draw = np.random.default_rng(0)
    words = [
        "The stone falls.",
        "The stone falls under the river of light and never over the dark.",
    ]
    lines = [" ".join(draw.choice(words, 40)) for _ in range(60)]
    (tmp_path / "two.txt").write_text("\n".join(lines) + "\n")
    plan = ShardingConfig(unigram, reading=ReadingConfig(documents="line"))
    shards = shard([tmp_path / "two.txt"], tmp_path / "two", plan)[0]
    source = pairs_of(shards, load_tokenizer(unigram).special, sequence=160)
    sizes = {0: [], 1: []}
    for index, number in zip(*many(source, 3000), strict=True):
        start = source.token_spans(int(index), int(number))[1][0]
        document = int(shards.documents_at(np.array([start]))[0])
        starts = shards.sentences_of(document) + shards.document(document)[0]
        if start in starts[:-1]:
            following = starts[np.searchsorted(starts, start) + 1]
            sizes[int(unrelated(3, np.array([number]))[0])].append(following - start)
    assert np.mean(sizes[1]) == pytest.approx(np.mean(sizes[0]), rel=0.05)


def test_in_sentence_order_the_same_segments_change_places(
    documents: ShardSet, special: dict[str, int]
) -> None:
    source = pairs_of(documents, special, "sentence_order")
    turned = set()
    for index, number in zip(*many(source, 300), strict=True):
        (a, b), (c, d) = source.token_spans(int(index), int(number))
        label = int(unrelated(3, np.array([number]))[0])
        assert (b == c) if not label else (d == a)
        turned.add(label)
    assert turned == {0, 1}


def test_a_sample_is_the_same_in_any_batch_and_another_in_the_next_epoch(
    documents: ShardSet, special: dict[str, int]
) -> None:
    stream = Stream([pairs_of(documents, special)], None, seed=1)
    together = stream.rows(10, 24)
    for share in (1, 2, 3, 8):
        parts = [stream.rows(10 + i, share) for i in range(0, 24, share)]
        assert np.array_equal(np.concatenate(parts), together)
    source = pairs_of(documents, special)
    row = np.array([5])
    assert not np.array_equal(source.rows(row, row), source.rows(row, row + len(source)))


def test_the_spans_of_samples_are_the_segments_of_their_rows(
    documents: ShardSet, special: dict[str, int]
) -> None:
    stream = Stream([pairs_of(documents, special)], None, seed=1)
    for row, (_, runs) in zip(stream.rows(0, 50), stream.token_spans(0, 50), strict=True):
        text = np.concatenate([documents.windows(np.array([s]), e - s)[0] for s, e in runs])
        assert np.isin(row, list(special.values())).sum() + text.size == SEQUENCE


def test_a_document_of_one_sentence_is_parted_within_it(tmp_path: Path, unigram: Path) -> None:
    lines = [f"The stone {n} falls under the river" for n in range(20)]
    (tmp_path / "one.txt").write_text("\n".join(lines) + "\n")
    plan = ShardingConfig(unigram, reading=ReadingConfig(documents="line"))
    shards = shard([tmp_path / "one.txt"], tmp_path / "one", plan)[0]
    special = load_tokenizer(unigram).special
    source = pairs_of(shards, special)
    for index, number in zip(*many(source, 200), strict=True):
        (a, b), (c, d) = source.token_spans(int(index), int(number))
        assert b > a
        assert d > c


def test_a_set_without_two_documents_to_pair_is_refused(
    documents: ShardSet, counted_set: MakeSet
) -> None:
    assert check_pairs(documents) == []
    (problem,) = check_pairs(counted_set(100, 2, 1))
    assert "two documents" in str(problem)
