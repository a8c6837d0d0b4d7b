from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.objective_kinds import SPECIAL, made, mean_loss

from dslm.objectives.batch import IGNORE
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.sampling.stream import Samples
from dslm.tokenizers.load import load_tokenizer

SIZE, SEQUENCE, MAX_PREDICTIONS = 1000, 128, 19
ROWS = 1 << 13
"""Rows of 127 tokens behind their [CLS]: more than a million."""
TEXT = np.random.default_rng(0).integers(6, SIZE, (ROWS, SEQUENCE - 1))
PIECES = ["the", "stone", "river", "under", "never", "falls", "into", "darkness"]


def samples(rows: Any, first: int = 0) -> Samples:
    numbers = np.arange(first, first + len(rows))
    return Samples(rows, numbers, numbers)


def masked(**changes: Any) -> Any:
    return made("masked", SEQUENCE, SIZE, **changes)


def whole(objective: Any, of: Samples) -> tuple[Any, Any, Any]:
    """The inputs, and everywhere the token to predict or `IGNORE`."""
    (inputs, *_, selected), labels = objective.batch(of)
    wanted = np.full(inputs.shape, IGNORE)
    for row, positions, tokens in zip(wanted, selected.numpy(), labels.numpy(), strict=True):
        counted = tokens != IGNORE
        row[positions[counted]] = tokens[counted]
    return inputs.numpy(), wanted, wanted != IGNORE


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer whose words are of several pieces."""
    folder = tmp_path_factory.mktemp("words")
    draw = np.random.default_rng(1)
    text = " ".join(draw.choice(PIECES, 4000))
    (folder / "text.txt").write_text(text + "\n")
    train_tokenizer([folder / "text.txt"], folder / "tokenizer", TokenizerConfig("bpe", 290))
    return folder / "tokenizer"


def written(words: Path, rows: int) -> Any:
    """Rows of 60 ids of such words."""
    draw = np.random.default_rng(2)
    text = " ".join(draw.choice(PIECES, 40 * rows))
    (ids,) = load_tokenizer(words).encode([text])
    return ids[: 60 * rows].astype(np.int64).reshape(rows, 60)


def test_of_every_row_exactly_its_share_is_predicted() -> None:
    inputs, wanted, counted = whole(masked(), samples(TEXT))
    assert (counted.sum(axis=1) == round(0.15 * (SEQUENCE - 1))).all()
    assert (wanted[:, 1:][counted[:, 1:]] == TEXT[counted[:, 1:]]).all()
    assert not counted[:, 0].any()
    assert (inputs[:, 0] == SPECIAL["cls"]).all()


def test_of_a_million_tokens_eight_tenths_are_hidden_and_one_replaced() -> None:
    inputs, wanted, counted = whole(masked(), samples(TEXT))
    assert TEXT.size > 1_000_000
    hidden = (inputs == SPECIAL["mask"])[counted].mean()
    kept = (inputs == wanted)[counted].mean()
    assert hidden == pytest.approx(0.8, abs=0.01)
    assert kept == pytest.approx(0.1, abs=0.01)
    assert (inputs[:, 1:] == TEXT)[~counted[:, 1:]].all()


def test_what_replaces_a_token_is_any_ordinary_one() -> None:
    inputs, _, counted = whole(masked(hidden=0.0, replaced=1.0), samples(TEXT))
    seen = np.bincount(inputs[counted], minlength=SIZE)
    assert seen[:6].sum() == 0
    assert seen[6:].min() > 0.5 * seen[6:].mean()


def test_special_tokens_are_never_predicted() -> None:
    rows = TEXT[:200].copy()
    rows[:, 40:] = SPECIAL["eos"]
    _, _, counted = whole(masked(), samples(rows))
    assert not counted[:, 41:].any()
    assert (counted.sum(axis=1) == 6).all()


def test_in_a_row_of_special_tokens_alone_nothing_is_predicted_or_counted() -> None:
    objective = masked()
    rows = TEXT[:2].copy()
    rows[1] = SPECIAL["pad"]
    _, labels = objective.batch(samples(rows))
    assert labels.shape == (2, MAX_PREDICTIONS)
    assert (labels[1] == IGNORE).all()
    scores = torch.randn(2, MAX_PREDICTIONS, SIZE, generator=torch.Generator().manual_seed(0))
    alone = mean_loss(objective, scores[:1].clone(), labels[:1])
    assert mean_loss(objective, scores.clone(), labels) == pytest.approx(float(alone))
    nothing = mean_loss(objective, scores[1:].clone(), labels[1:])
    assert float(nothing) == 0.0


def test_masks_are_those_of_the_sample_number_whatever_the_batch() -> None:
    objective = masked()
    _, together, _ = whole(objective, samples(TEXT[:24], first=100))
    for share in (1, 2, 3, 4, 6, 8, 12):
        parts = [
            whole(objective, samples(TEXT[i : i + share], first=100 + i))[1]
            for i in range(0, 24, share)
        ]
        assert np.array_equal(np.concatenate(parts), together)


def test_masks_differ_between_epochs_unless_they_are_static() -> None:
    numbers = np.arange(64)
    epochs = [Samples(TEXT[:64], numbers + 64 * epoch, numbers) for epoch in (0, 1)]
    first, second = (whole(masked(), epoch)[2] for epoch in epochs)
    assert (first & second).sum() < 0.3 * first.sum()
    first, second = (whole(masked(static=True), epoch)[2] for epoch in epochs)
    assert np.array_equal(first, second)


def test_another_seed_masks_otherwise() -> None:
    first, second = (whole(masked(seed=seed), samples(TEXT[:64]))[2] for seed in (0, 1))
    assert (first & second).sum() < 0.3 * first.sum()


def test_without_a_mask_in_the_tokenizer_an_id_beyond_it_is_used() -> None:
    special = {name: number for name, number in SPECIAL.items() if name != "mask"}
    objective = masked(special=special)
    inputs, _, _ = whole(objective, samples(TEXT[:50]))
    assert objective.extra_ids == 1
    assert inputs.max() == SIZE


@pytest.mark.parametrize("unit", ["word", "span", "ngram"])
def test_units_are_masked_as_a_whole_but_for_one_a_row(words: Path, unit: str) -> None:
    size = load_tokenizer(words).vocabulary
    rows = written(words, 300)
    objective = made("masked", 61, size, folder=words, unit=unit, share=0.3)
    _, _, counted = whole(objective, samples(rows))
    counted = counted[:, 1:]
    assert (counted.sum(axis=1) == 18).all()
    begins = objective.context.vocabulary.words().begin(rows)
    numbers = np.cumsum(begins, axis=1) - 1
    cut = []
    for row, word in zip(counted, numbers, strict=True):
        in_word = np.bincount(word, weights=row)
        cut.append(((in_word > 0) & (in_word < np.bincount(word))).sum())
    assert max(cut) <= 2  # a cut unit has two ends
    assert np.mean(cut) < 1.0


def test_a_piece_that_goes_on_with_a_word_begins_none(words: Path) -> None:
    tokenizer = load_tokenizer(words)
    (ids,) = tokenizer.encode(["never falls into the darkness."])
    pieces = [tokenizer.decode([number]) for number in ids.tolist()]
    vocabulary = made(
        "masked", 8, tokenizer.vocabulary, folder=words, unit="word"
    ).context.vocabulary
    begins = vocabulary.words().begin(ids[None].astype(np.int64))[0]
    text = [("|" if new else "") + piece for new, piece in zip(begins, pieces, strict=True)]
    assert "".join(text) == "|never| falls| into| the| darkness|."


@pytest.mark.parametrize(("unit", "mean"), [("span", 3.8), ("ngram", 18 / 11)])
def test_spans_are_as_long_as_their_papers_say(words: Path, unit: str, mean: float) -> None:
    from dslm.objectives.masking import _lengths
    from dslm.sampling.stateless_random import RandomStream, stateless_random

    lengths = _lengths(unit, stateless_random(0, np.arange(200), 100, RandomStream.LENGTHS))  # type: ignore[arg-type]
    assert lengths.min() == 1
    assert lengths.mean() == pytest.approx(mean, rel=0.03)


def test_spans_become_masks_together(words: Path) -> None:
    size = load_tokenizer(words).vocabulary
    objective = made("masked", 61, size, folder=words, unit="span", hidden=0.5, replaced=0.0)
    inputs, _, counted = whole(objective, samples(written(words, 300)))
    hidden = inputs == SPECIAL["mask"]
    inner = counted[:, 1:] & counted[:, :-1]
    same = (hidden[:, 1:] == hidden[:, :-1])[inner].mean()
    assert same > 0.9  # 0.5 if each token had its own fate; neighbours of two spans may differ


def test_documents_in_a_row_are_kept_apart_on_request() -> None:
    rows = TEXT[:1].copy()
    rows[0, [9, 49]] = SPECIAL["eos"]
    rows[0, 100:] = SPECIAL["pad"]
    objective = masked(borders=True)
    numbers = np.arange(1)
    batch = objective.batch(Samples(rows, numbers, numbers, np.array([100])))
    (_, visibility, position_ids, _), _ = batch
    assert objective.extras == ("visibility", "position_ids", "selected")
    ends = [0, 11, 51, 101, 128]  # [CLS] goes with the first document
    for number, (start, end) in enumerate(pairwise(ends), 1):
        assert (visibility[0, start:end] == (-number if number < 4 else 0)).all()
        assert position_ids[0, start:end].tolist() == list(range(end - start))
