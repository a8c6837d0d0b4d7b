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
from dslm.tokenizers.pair_frame import PairFrame

VOCABULARY = 1006
T5 = {"pair": PairFrame(begin=2, behind=(1,), end=1), "gaps": tuple(range(1005, 995, -1))}
BART = {"pair": PairFrame(begin=1, before=(0,), behind=(1,), opening=(0,), end=1)}
FRAMES: dict[str, dict[str, Any]] = {"none": {}, "T5": T5, "BART": BART}
"""What tokenizers say of the ids around source and target."""


def texts(objective: Any, lengths: list[int] | None = None) -> Samples:
    """Three rows of different tokens, of which some may end early."""
    width, numbers = objective.window.width, np.arange(3)
    tokens = np.stack([np.random.default_rng(n).permutation(1000)[:width] + 6 for n in numbers])
    return Samples(tokens, numbers, numbers, None if lengths is None else np.array(lengths))


@pytest.mark.parametrize("style", get_args(Style))
@pytest.mark.parametrize("lengths", [None, [5, 0, 30]])
@pytest.mark.parametrize("kind", FRAMES)
def test_source_and_target_are_those_of_one_stack(
    style: str, lengths: list[int] | None, kind: str
) -> None:
    objective = made("denoising", 64, size=VOCABULARY, two_stacks=True, style=style, **FRAMES[kind])
    samples, frame = texts(objective, lengths), objective.frame
    (inputs, visibility, targets), labels = objective.batch(samples)
    assert objective.extras == ("visibility", "targets")
    assert inputs.shape == visibility.shape == (3, 64)
    assert targets.shape == labels.shape
    for row, (source, target) in enumerate(objective._corrupted(samples)):
        assert inputs[row, : source.size].tolist() == source.tolist()
        assert visibility[row].tolist() == [-1] * source.size + [0] * (64 - source.size)
        wanted = [*frame.opening, *target.tolist(), frame.end]
        assert labels[row].tolist() == wanted + [IGNORE] * (len(labels[row]) - len(wanted))
        assert targets[row, : len(wanted)].tolist() == [frame.begin, *wanted[:-1]]
        text = samples.tokens[row][samples.text[row]].tolist()
        found = restored(source, target, objective.corruption.marks) if style == "spans" else target
        assert found.tolist() == (
            [*frame.before, *text, *frame.behind] if style == "spans" else text
        )


@pytest.mark.parametrize("two_stacks", [False, True])
@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("style", get_args(Style))
def test_the_ids_of_the_tokenizer_are_used_where_it_has_them(
    style: str, kind: str, two_stacks: bool
) -> None:
    frame = FRAMES[kind]
    objective = made(
        "denoising", 128, VOCABULARY, {"eos": 1}, two_stacks=two_stacks, style=style, **frame
    )
    needed = {"spans": objective.corruption.counts(objective.window.width)[1], "deletion": 0}
    marks, own = objective.corruption.marks, 0 if frame else 2
    assert len(marks) == needed.get(style, 1)
    assert marks == frame.get("gaps", ())[: len(marks)] or not frame.get("gaps")
    assert objective.extra_ids == own + (0 if frame.get("gaps") else len(marks))
    inputs, labels = objective.batch(texts(objective))
    found = {int(one) for part in (inputs[0], labels) for one in part.unique()} - {IGNORE}
    assert max(found) < VOCABULARY + objective.extra_ids
    assert {*marks, objective.frame.end} <= found


def test_there_are_no_more_spans_than_the_tokenizer_has_marks_for() -> None:
    objective = made("denoising", 512, VOCABULARY, two_stacks=True, gaps=(7, 5))
    counts = [objective.corruption.counts(objective.window.width + more)[1] for more in (0, 1)]
    assert counts == [2, 3]
    assert objective.corruption.marks == (7, 5)


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
