"""Texts written together: none depends on the others, nor on what is remembered."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.models import KINDS, RECURRENT, build, shaken, small
from helpers.writing import write_all

from dslm.inference.sampling import SamplingConfig
from dslm.inference.writing import Written

SOME = ("gpt2", "llama one group", "original", "without positions", "lstm", "gru with positions")
ALL = {name: kind for name, kind in {**KINDS, **RECURRENT}.items() if name in SOME}
ALL["relative"] = {"positions": "relative", "relative_buckets": 8, "relative_distance": 12}
TEXTS = [[1, 2, 3], [9], [4, 5, 6, 7, 8, 9, 10], [11, 12, 13], [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]]
WAYS = {
    "greedy": SamplingConfig(temperature=0),
    "penalized": SamplingConfig(temperature=0, repetition_penalty=1.4),
    "sampled": SamplingConfig(temperature=1.5, top_k=20, top_p=0.9, seed=3, samples=2),
    "beams": SamplingConfig(temperature=0, beams=3),
}


def found(kind: str, way: str, texts: list[list[int]], cached: bool = True) -> list[Any]:
    """What is written, beyond the end of the window: 24 tokens of a window of 16."""
    config = small(**ALL[kind], initialization=0.3)
    model = shaken(build(config))
    written = write_all(model, config, texts, WAYS[way], 24, end=7, cached=cached)
    return [(one.tokens, one.end) for one in written]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ALL)
def test_texts_of_different_lengths_are_written_as_one_by_one(kind: str, way: str) -> None:
    together = found(kind, way, TEXTS)
    assert together == [one for text in TEXTS for one in found(kind, way, [text])]


def test_some_of_these_texts_end_and_others_do_not() -> None:
    ends = [end for way in WAYS for _, end in found("gpt2", way, TEXTS)]
    assert {"end of document", "length"} == set(ends)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ALL)
def test_what_is_remembered_changes_no_token(kind: str, way: str) -> None:
    assert found(kind, way, TEXTS) == found(kind, way, TEXTS, cached=False)


def test_a_sample_depends_on_its_number_and_not_on_how_many_there_are() -> None:
    config = small(initialization=0.3)
    model = shaken(build(config))

    def samples(count: int, seed: int = 1) -> list[list[int]]:
        sampling = SamplingConfig(seed=seed, samples=count)
        return [one.tokens for one in write_all(model, config, [[1, 2]], sampling, 12)]

    four = samples(4)
    assert samples(2) == four[:2]
    assert len({tuple(one) for one in four}) == 4
    assert samples(4, seed=2) != four


@torch.no_grad()
def test_log_probabilities_are_those_of_the_model_whatever_the_way() -> None:
    config = small(**KINDS["llama"], initialization=0.3)
    model = shaken(build(config))
    for sampling in WAYS.values():
        for one in write_all(model, config, TEXTS[:2], sampling, 8):
            row = torch.tensor([[*TEXTS[one.prompt], *one.tokens]])
            logs = model(row)[0].log_softmax(-1)[:-1].gather(1, row[0, 1:, None])[:, 0]
            wanted = logs[-len(one.tokens) :].tolist()
            assert one.logs == pytest.approx(wanted, abs=1e-5)


def scored(text: list[int], sampling: SamplingConfig) -> Written:
    """The text with the best score, and the model's mean log-probability as a check."""
    config = small(initialization=0.3)
    return write_all(shaken(build(config)), config, [text], sampling, 6)[0]


def test_a_score_is_the_log_probability_by_the_length_to_the_power_of_the_penalty() -> None:
    for power in (0.0, 1.0, 2.0):
        sampling = SamplingConfig(temperature=0, beams=3, length_penalty=power)
        one = scored([1, 2, 3], sampling)
        assert one.score == pytest.approx(sum(one.logs) / len(one.tokens) ** power, abs=1e-5)


def test_more_beams_find_a_likelier_text() -> None:
    greedy = scored([9], SamplingConfig(temperature=0))
    beams = scored([9], SamplingConfig(temperature=0, beams=30))
    assert sum(beams.logs) > sum(greedy.logs)
