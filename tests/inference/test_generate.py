"""Text from a model: the cache changes nothing, the sampling does what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.models import KINDS, build, small
from helpers.writing import write_one

from dslm.inference.choice import choose
from dslm.inference.sampling import SamplingConfig, check_sampling
from dslm.model.attention import Cache

GREEDY = SamplingConfig(temperature=0)
SCORES = torch.log(torch.tensor([0.5, 0.25, 0.15, 0.1]))


def tokens(
    kind: dict[str, object], sampling: SamplingConfig, count: int, cached: bool
) -> list[int]:
    config = small(**kind)
    model = build(config).eval()
    return write_one(model, config, [1, 2, 3], sampling, count, cached=cached)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampling", [GREEDY, SamplingConfig(temperature=1.5, top_k=20, seed=3)])
def test_the_cache_changes_no_token_even_past_the_window(
    kind: str, sampling: SamplingConfig
) -> None:
    count = 3 * small(**KINDS[kind]).sequence
    assert tokens(KINDS[kind], sampling, count, True) == tokens(KINDS[kind], sampling, count, False)


def test_the_same_seed_draws_the_same_and_another_draws_another() -> None:
    first, again, other = (
        tokens({}, SamplingConfig(temperature=2.0, seed=seed), 30, True) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def draws(sampling: SamplingConfig, count: int = 2000) -> list[float]:
    numbers = torch.rand(count, generator=torch.Generator().manual_seed(0)).tolist()
    drawn = torch.tensor(choose(SCORES.expand(count, -1), sampling, numbers))
    return [float((drawn == token).float().mean()) for token in range(len(SCORES))]


def test_temperature_zero_takes_the_likeliest() -> None:
    assert draws(GREEDY, 20) == [1.0, 0.0, 0.0, 0.0]


def test_draws_follow_the_probabilities() -> None:
    assert draws(SamplingConfig()) == pytest.approx([0.5, 0.25, 0.15, 0.1], abs=0.04)


def test_a_lower_temperature_sharpens() -> None:
    sharp = torch.tensor([0.5, 0.25, 0.15, 0.1]) ** 2
    assert draws(SamplingConfig(temperature=0.5)) == pytest.approx(
        (sharp / sharp.sum()).tolist(), abs=0.04
    )


def test_top_k_leaves_the_likeliest_k() -> None:
    assert draws(SamplingConfig(top_k=2)) == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=0.04)


def test_top_p_leaves_the_fewest_that_reach_the_share() -> None:
    kept = [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0]
    assert draws(SamplingConfig(top_p=0.8)) == pytest.approx(kept, abs=0.04)


def test_a_tiny_top_p_still_leaves_one_token() -> None:
    assert draws(SamplingConfig(top_p=1e-9), 20) == [1.0, 0.0, 0.0, 0.0]


def test_ids_beyond_the_tokenizer_are_never_drawn() -> None:
    config = small()
    hot = SamplingConfig(temperature=9.0)
    assert max(write_one(build(config).eval(), config, [1], hot, 200, vocabulary=5)) == 4


@pytest.mark.parametrize(
    ("given", "asked", "held"), [(3, 4, 7), (3, 100, 16), (20, 4, 16), (1, 1, 2)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_cache_holds_what_is_asked_for_in_the_precision_of_the_model(
    given: int, asked: int, held: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Cache] = []

    class Noted(Cache):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr("dslm.inference.next_token.Cache", Noted)
    config = small(**KINDS["llama"])
    model = build(config).eval().to(dtype)
    assert len(write_one(model, config, [1] * given, GREEDY, asked)) == asked
    assert made[0].held[0].shape == (1, 2, held, 8)
    assert max(cache.held[0].shape[2] for cache in made) <= 16
    assert {cache.held[1].dtype for cache in made} == {dtype}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"temperature": -1, "top_k": 0, "top_p": 1.5}, ["--temperature", "--top-k", "--top-p"]),
        ({"repetition_penalty": 0, "stop": ("a", "")}, ["--repetition-penalty", "--stop"]),
        ({"beams": 0, "samples": 0}, ["--beams", "--samples"]),
        ({"beams": 2}, ["--beams"]),
        ({"beams": 2, "temperature": 0, "top_k": 5}, ["--beams"]),
        ({"beams": 2, "temperature": 0, "samples": 2}, ["--beams"]),
        ({"temperature": 0, "samples": 2}, ["--samples"]),
        ({"length_penalty": 0.5}, ["--length-penalty"]),
        ({"beams": 2, "temperature": 0, "length_penalty": -1.0}, []),
    ],
)
def test_every_wrong_setting_is_reported(wrong: dict[str, Any], named: list[str]) -> None:
    problems = check_sampling(SamplingConfig(**wrong))
    assert [problem.where for problem in problems] == named
