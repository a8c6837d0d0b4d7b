"""Denoising: exact counts, nothing lost, the same for any layout, and seen as it is to be."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, get_args

import numpy as np
import pytest
import torch
from helpers.objective_kinds import SPECIAL, made, mean_loss

from dslm.errors import ConfigError
from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.batch import IGNORE
from dslm.objectives.corruption import Corruption, Style, restored
from dslm.run.presets import PRESETS
from dslm.sampling.stream import Samples

STYLES = get_args(Style)
SEQUENCES = [5, 6, 7, 8, 9, 31, 64, 100, 128, 257, 512]
RANDOM = np.random.default_rng(0)


def samples_of(objective: Any, numbers: list[int], padding: int | None = None) -> Samples:
    """Texts without special ids, each token of which is another; some padded."""
    width, order = objective.window.width, np.array(numbers)
    tokens = np.stack([np.random.default_rng(n).permutation(1000)[:width] + 6 for n in numbers])
    if padding is None:
        return Samples(tokens, order, order)
    lengths = order % (width + 1)
    tokens[np.arange(width) >= lengths[:, None]] = padding
    return Samples(tokens, order, order, lengths)


def denoising(style: str, sequence: int = 64, **more: Any) -> Any:
    return made("denoising", sequence, size=1006, style=style, **more)


def parts(objective: Any, batch: Any, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Source and target of a row, read from what the model gets."""
    (inputs, visibility, _), labels = batch
    target = labels[row][labels[row] != IGNORE].numpy()
    assert target[-1] == objective.frame.end
    return inputs[row][visibility[row] == -1].numpy(), target[:-1]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("padding", [None, SPECIAL["pad"]])
def test_source_and_target_give_back_the_text(style: str, padding: int | None) -> None:
    objective = denoising(style)
    samples = samples_of(objective, list(range(60)), padding)
    batch, marks = objective.batch(samples), objective.corruption.marks
    for row, text in enumerate(samples.tokens):
        text = text[text != padding]
        source, target = parts(objective, batch, row)
        if style == "spans":
            assert np.array_equal(restored(source, target, marks), text)
            continue
        assert np.array_equal(target, text)
        kept = source[~np.isin(source, marks)]
        assert np.isin(kept, text).all()
        assert np.all(np.diff([text.tolist().index(token) for token in kept.tolist()]) > 0)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_every_row_is_as_long_as_the_counts_say_and_fits(style: str, sequence: int) -> None:
    objective = denoising(style, sequence)
    length, corruption = objective.window.width, objective.corruption
    batch = objective.batch(samples_of(objective, list(range(40))))
    used = sum(corruption.lengths(length)) + 1
    assert ((batch[0][1] != 0).sum(1) == used).all()
    assert used <= sequence < sum(corruption.lengths(length + 1)) + 1
    for row in range(40):
        source, target = parts(objective, batch, row)
        assert (source.size, target.size) == corruption.lengths(length)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("share", [0.01, 0.15, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("span", [1.0, 3.0, 20.0])
def test_the_counts_of_any_text_are_exact_and_leave_some_of_it(
    style: Style, share: float, span: float
) -> None:
    corruption = Corruption(style, share, span, (*range(1000, 1040),))
    for length in range(40):
        corrupted, spans = corruption.counts(length)
        assert corrupted == (min(max(1, round(share * length)), length - 1) if length > 1 else 0)
        text = np.arange(length)
        source, target = corruption(text, RANDOM.random(2 * length + 1))
        assert (source.size, target.size) == corruption.lengths(length)
        assert np.isin(text, source).sum() == length - corrupted
        assert (source >= 1000).sum() == (0 if style == "deletion" else spans)


def test_a_span_has_a_mark_of_its_own_and_no_two_spans_touch() -> None:
    objective = denoising("spans", 128)
    count, spans = objective.corruption.counts(objective.window.width)
    assert (count, spans) == (round(0.15 * objective.window.width), round(count / 3))
    batch = objective.batch(samples_of(objective, list(range(50))))
    marks = np.array(objective.corruption.marks)
    assert marks.size == spans
    for row in range(50):
        source, target = parts(objective, batch, row)
        assert source[source >= marks[0]].tolist() == marks.tolist()
        assert target[target >= marks[0]].tolist() == marks.tolist()
        assert (np.diff(np.flatnonzero(source >= marks[0])) > 1).all()


def test_all_ways_to_place_spans_are_equally_likely() -> None:
    corruption = Corruption("spans", 0.5, 1.5, (10, 11))
    assert corruption.counts(6) == (3, 2)
    draws = 6000
    seen = Counter(
        tuple(corruption(np.arange(6), draws)[0].tolist()) for draws in RANDOM.random((draws, 13))
    )
    # Two of the four gaps between the three that stay, and two ways to part the other three.
    assert len(seen) == 6 * 2
    assert all(abs(count - draws / 12) < 5 * math.sqrt(draws / 12) for count in seen.values())


def test_the_lengths_of_masked_spans_are_poisson_with_empty_ones_among_them() -> None:
    corruption = Corruption("infilling", 0.3, 3.0, (10_000,))
    text, lengths = np.arange(400), []
    for draws in RANDOM.random((300, 801)):
        source, _ = corruption(text, draws)
        positions = np.flatnonzero(source == 10_000)
        before = np.array([source[position - 1] if position else -1 for position in positions])
        after = np.array([source[p + 1] if p + 1 < source.size else 400 for p in positions])
        lengths += (after - before - 1).tolist()
    assert np.mean(lengths) == pytest.approx(3.0)  # 120 tokens in 40 spans, in every text
    for length in range(8):
        poisson = math.exp(-3) * 3**length / math.factorial(length)
        assert lengths.count(length) / len(lengths) == pytest.approx(poisson, abs=0.012)


@pytest.mark.parametrize("style", STYLES)
def test_what_is_damaged_follows_from_the_sample_number_alone(style: str) -> None:
    objective = denoising(style)
    whole = objective.batch(samples_of(objective, list(range(24))))
    for replicas in (2, 3, 8):
        share = 24 // replicas
        pieces = [
            objective.batch(samples_of(objective, list(range(first, first + share))))
            for first in range(0, 24, share)
        ]
        for index in range(3):
            joined = torch.cat([inputs[index] for inputs, _ in pieces])
            assert torch.equal(joined, whole[0][index])
        assert torch.equal(torch.cat([labels for _, labels in pieces]), whole[1])


@pytest.mark.parametrize("style", STYLES)
def test_another_epoch_or_seed_damages_the_same_text_in_another_way(style: str) -> None:
    objective, other = denoising(style), denoising(style, seed=1)
    first = samples_of(objective, [3])
    later = Samples(first.tokens, np.array([3 + 1000]), first.indices)
    inputs = [o.batch(s)[0][0] for o, s in ((objective, first), (objective, later), (other, first))]
    assert not torch.equal(inputs[0], inputs[1])
    assert not torch.equal(inputs[0], inputs[2])


@pytest.mark.parametrize("style", STYLES)
def test_the_source_is_seen_whole_the_target_causally_and_padding_by_nobody(style: str) -> None:
    objective = denoising(style, 40)
    samples = samples_of(objective, [7, 3], SPECIAL["pad"])
    (inputs, visibility, selected), labels = objective.batch(samples)
    for row in range(2):
        source, target = parts(objective, ((inputs, visibility, selected), labels), row)
        predicted = target.size + 1
        rest = 40 - source.size - predicted
        assert visibility[row].tolist() == [-1] * source.size + [1] * predicted + [0] * rest
        assert inputs[row, source.size] == objective.frame.begin
        assert selected[row, :predicted].tolist() == list(
            range(source.size, source.size + predicted)
        )
        assert inputs[row, source.size + 1 : source.size + predicted].tolist() == target.tolist()
        assert (labels[row, predicted:] == IGNORE).all()


@pytest.mark.parametrize("style", STYLES)
def test_all_ids_are_within_the_vocabulary_with_those_of_the_objective(style: str) -> None:
    for special in (SPECIAL, {"eos": 1}):
        objective = denoising(style, 128, special=special)
        (inputs, *_), labels = objective.batch(samples_of(objective, [1, 2, 3]))
        assert max(int(inputs.max()), int(labels.max())) < 1006 + objective.extra_ids
    assert objective.max_predictions == labels.shape[1]
    assert objective.scored_fraction == objective.max_predictions / 128


@pytest.mark.parametrize("style", STYLES)
def test_the_first_loss_is_that_of_guessing(style: str) -> None:
    objective = denoising(style)
    size = 1006 + objective.extra_ids
    config = ModelConfig(layers=2, heads=4, width=64, sequence=64, vocabulary=size)
    model = Transformer(stages(config, 0, objective.extras)).eval()
    inputs, labels = objective.batch(samples_of(objective, list(range(16))))
    with torch.no_grad():
        outputs = model(inputs)
        sums = objective.measure(outputs, labels)
        loss = float(mean_loss(objective, outputs, labels))
    assert loss == pytest.approx(math.log(size), abs=0.15)
    assert float(sums[0, 0] / sums[0, 1]) == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("style", STYLES)
def test_the_model_sees_no_answer_before_it_is_asked_for(style: str) -> None:
    objective = denoising(style, 40)
    shape = {"layers": 2, "heads": 2, "width": 32, "sequence": 40, "initialization": 0.2}
    config = ModelConfig(**shape, vocabulary=1006 + objective.extra_ids)
    model = Transformer(stages(config, 0, objective.extras)).eval()
    (inputs, visibility, selected), labels = objective.batch(samples_of(objective, [5]))
    predicted = int((labels[0] != IGNORE).sum())
    position = predicted // 2
    changed = inputs.clone()
    changed[0, selected[0, position] :] = 9
    with torch.no_grad():
        before, after = (model((ids, visibility, selected)) for ids in (inputs, changed))
    assert torch.allclose(before[0, :position], after[0, :position], rtol=0, atol=1e-6)
    assert (before[0, position:predicted] - after[0, position:predicted]).abs().max() > 1e-4


def test_the_preset_is_as_large_as_it_says() -> None:
    objective = made("denoising", 512, size=32_000)
    assert (objective.window.width, objective.extra_ids) == (465, 25)
    config = ModelConfig(**PRESETS["t5_style_small"]()["model"], vocabulary=32_025)
    size = f"{parameter_count(config):,} weights with 32,025 ids"
    assert size in str(PRESETS["t5_style_small"].__doc__)


def test_a_row_without_room_for_source_and_target_is_refused() -> None:
    with pytest.raises(ConfigError, match="leaves no room for a corrupted text"):
        denoising("spans", 4)


def test_what_a_model_leaves_out_or_invents_does_no_harm_to_the_text() -> None:
    source, target = np.array([5, 100, 6, 101, 7]), np.array([9, 100, 1, 2, 107, 3])
    assert restored(source, target, range(100, 108)).tolist() == [5, 1, 2, 6, 7]
