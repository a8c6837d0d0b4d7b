from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.sampling.augment import AugmentationConfig, margin
from dslm.sampling.augmented import AugmentedStream
from dslm.sampling.stream import Stream, WindowSpec
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import piece_texts

SEQUENCE = 63
EVERYTHING = AugmentationConfig(shuffle_sentences=True, drop=0.1, replace=0.1, lower_case=0.5)


@pytest.fixture
def tokenizer(unigram: Path) -> Tokenizer:
    return load_tokenizer(unigram)


@pytest.fixture
def text_shards(tmp_path: Path, unigram: Path) -> ShardSet:
    """Documents of many short sentences."""
    file = tmp_path / "text.txt"
    file.write_text(" ".join(f"The river falls {'under ' * (n % 7)}stone." for n in range(900)))
    return shard([file], tmp_path / "set", ShardingConfig(unigram))[0]


@pytest.fixture
def stream_of(text_shards: ShardSet, tokenizer: Tokenizer) -> Callable[..., Stream]:
    """Makes a stream of the text with some changes."""

    def make(
        settings: AugmentationConfig, weights: list[float] | None = None, shifted: bool = True
    ) -> Stream:
        windows = Windows(text_shards, WindowSpec(SEQUENCE, 1), margin(SEQUENCE + 1, settings.drop))
        sources = [windows] * (len(weights) if weights else 1)
        return AugmentedStream(sources, weights, 5, settings, tokenizer, shifted=shifted)

    return make


@pytest.mark.parametrize("weights", [None, [3.0, 1.0]])
def test_a_sample_is_changed_alike_in_any_batch(
    stream_of: Callable[..., Stream], weights: list[float] | None
) -> None:
    one = stream_of(EVERYTHING, weights).rows(40, 24)
    assert one.shape == (24, SEQUENCE + 1)
    for share in (12, 8, 1):
        stream = stream_of(EVERYTHING, weights)
        parts = [stream.rows(first, share) for first in range(40, 64, share)]
        assert np.array_equal(np.concatenate(parts), one)


def test_a_row_is_changed_otherwise_in_the_next_epoch(
    text_shards: ShardSet, stream_of: Callable[..., Stream]
) -> None:
    stream = stream_of(AugmentationConfig(replace=0.2), shifted=False)
    plain = Stream([Windows(text_shards, WindowSpec(SEQUENCE, 1))], None, 5, shifted=False)
    size = stream.samples_per_epoch
    epochs = [(plain.rows(n * size, size), stream.rows(n * size, size)) for n in range(2)]
    changes = [dict(zip(map(tuple, rows), map(tuple, seen), strict=True)) for rows, seen in epochs]
    assert changes[0].keys() == changes[1].keys()
    different = [row for row in changes[0] if changes[0][row] != changes[1][row]]
    assert len(different) > 0.9 * len(changes[0])


def test_sentences_are_shuffled_and_keep_their_tokens(
    text_shards: ShardSet, stream_of: Callable[..., Stream]
) -> None:
    plain = Stream([Windows(text_shards, WindowSpec(SEQUENCE, 1))], None, 5).rows(0, 30)
    shuffled = stream_of(AugmentationConfig(shuffle_sentences=True)).rows(0, 30)
    assert np.array_equal(np.sort(plain), np.sort(shuffled))
    assert np.count_nonzero((plain != shuffled).any(axis=1)) > 20


def test_replacements_are_drawn_from_the_text_itself(
    text_shards: ShardSet, stream_of: Callable[..., Stream], tokenizer: Tokenizer
) -> None:
    rows = stream_of(AugmentationConfig(replace=1.0)).rows(0, 200)
    everything = text_shards.windows(np.array([0]), text_shards.tokens)[0]
    occur = set(everything.tolist())
    assert set(np.unique(rows).tolist()) <= occur
    end = tokenizer.end_of_document
    common, times = np.unique(everything[everything != end], return_counts=True)
    drawn = np.count_nonzero(rows == common[times.argmax()]) / np.count_nonzero(rows != end)
    share = times.max() / times.sum()
    assert abs(drawn - share) < 5 * np.sqrt(share * (1 - share) / rows.size)


def test_rows_that_lose_tokens_stay_full_to_the_end_of_the_set(
    text_shards: ShardSet, stream_of: Callable[..., Stream]
) -> None:
    stream = stream_of(AugmentationConfig(drop=0.3))
    rows = stream.rows(0, stream.samples_per_epoch)
    assert rows.shape == (stream.samples_per_epoch, SEQUENCE + 1)


def test_a_tokenizer_without_ends_of_documents_may_be_used(
    characters: Path, corpus: list[Path], tmp_path: Path
) -> None:
    shards, _ = shard(corpus, tmp_path / "characters", ShardingConfig(characters))
    settings = AugmentationConfig(replace=1.0)
    stream = AugmentedStream(
        [Windows(shards, WindowSpec(SEQUENCE, 1))], None, 0, settings, load_tokenizer(characters)
    )
    assert np.unique(stream.rows(0, 50)).size > 10


@pytest.mark.parametrize("kind", ["unigram", "characters"])
def test_the_text_of_each_id_is_what_it_stands_for(
    kind: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = load_tokenizer(request.getfixturevalue(kind))
    texts = piece_texts(tokenizer)
    assert len(texts) == tokenizer.vocabulary
    (ids,) = tokenizer.encode(["under the river the stone falls."])
    assert "".join(texts[number] for number in ids.tolist()) == "under the river the stone falls."


def test_a_piece_that_goes_on_with_a_word_has_a_text_of_its_own(tmp_path: Path) -> None:
    words = ["[UNK]", "the", "##the", "The", "##The", "##x"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    texts = piece_texts(load_tokenizer(tmp_path / "vocab.txt"))
    assert texts == ["", " the", "the", " The", "The", "x"]
