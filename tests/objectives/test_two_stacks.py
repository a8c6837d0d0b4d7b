"""What denoising and the autoencoder give to an encoder and a decoder."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from helpers.objective_kinds import made

from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.objectives.batch import IGNORE
from dslm.objectives.corruption import Style, restored
from dslm.run.presets import PRESETS
from dslm.sampling.stream import Samples

VOCABULARY = 1006


def texts(objective: Any, lengths: list[int] | None = None) -> Samples:
    """Three rows of different tokens, of which some may end early."""
    width, numbers = objective.window.width, np.arange(3)
    tokens = np.stack([np.random.default_rng(n).permutation(1000)[:width] + 6 for n in numbers])
    return Samples(tokens, numbers, numbers, None if lengths is None else np.array(lengths))


@pytest.mark.parametrize("style", get_args(Style))
@pytest.mark.parametrize("lengths", [None, [5, 0, 30]])
def test_source_and_target_are_those_of_one_stack(style: str, lengths: list[int] | None) -> None:
    objective = made("denoising", 64, size=VOCABULARY, two_stacks=True, style=style)
    samples = texts(objective, lengths)
    (inputs, visibility, targets), labels = objective.batch(samples)
    assert objective.extras == ("visibility", "targets")
    assert inputs.shape == visibility.shape == (3, 64)
    assert targets.shape == labels.shape
    for row, (source, target) in enumerate(objective._corrupted(samples)):
        assert inputs[row, : source.size].tolist() == source.tolist()
        assert visibility[row].tolist() == [-1] * source.size + [0] * (64 - source.size)
        wanted = [*target.tolist(), objective.end]
        assert labels[row].tolist() == wanted + [IGNORE] * (len(labels[row]) - len(wanted))
        assert targets[row, : len(wanted)].tolist() == [objective.begin, *wanted[:-1]]
        text = samples.tokens[row][samples.text[row]]
        found = restored(source, target, objective.corruption.marks) if style == "spans" else target
        assert found.tolist() == text.tolist()


def test_each_of_the_rows_of_t5_is_filled() -> None:
    """Raffel et al. 2020, section 3.3.4: 568 tokens make a source of 512 and a target of 114."""
    objective = made("denoising", 512, size=32_000, two_stacks=True)
    source, target = objective.corruption.lengths(objective.window.width)
    assert abs(objective.window.width - 568) <= 1
    assert source == 512
    assert abs(target + 1 - 114) <= 1


def test_the_autoencoder_writes_the_text_that_it_reads() -> None:
    objective = made("autoencoder", 16, VOCABULARY, {}, two_stacks=True, padded=True, noise=0.3)
    samples = texts(objective, [16, 5, 0])
    (inputs, visibility, targets), labels = objective.batch(samples)
    assert objective.extras == ("visibility", "targets")
    assert (objective.mask, objective.begin, objective.extra_ids) == (1006, 1007, 2)
    assert targets[:, 0].tolist() == [1007] * 3
    assert torch.equal(targets[:, 1:], torch.from_numpy(samples.tokens[:, :-1]).long())
    assert torch.equal(labels != IGNORE, visibility == -1)
    assert 0 < (inputs == 1006).sum() < 16


@pytest.mark.parametrize(
    ("preset", "vocabulary", "said"),
    [
        ("t5_small", 32_128, "{:,} weights with its vocabulary of 32,128."),
        ("bart_base", 50_265, "{:,} weights with its vocabulary of 50,265."),
        ("transformer_base", 0, "{:,} weights beside the vocabulary."),
    ],
)
def test_the_presets_are_as_large_as_they_say(preset: str, vocabulary: int, said: str) -> None:
    shape = PRESETS[preset]()["model"]
    config = ModelConfig(**shape, vocabulary=vocabulary or 7)
    count = parameter_count(config) - (0 if vocabulary else 7 * config.width)
    assert said.format(count) in str(PRESETS[preset].__doc__)
