"""The probability of continuations, and what lm-eval may ask of a text that is written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.models import KINDS, RECURRENT, build, shaken, small

from dslm.errors import DataError
from dslm.inference import continuations
from dslm.inference.continuations import Continuation, likelihoods
from dslm.inference.harness_requests import writing
from dslm.inference.sampling import SamplingConfig, WritingConfig

ALL = {**KINDS, **RECURRENT, "relative": {"positions": "relative", "relative_buckets": 8}}
SOME = [
    Continuation([1, 2, 3], [4, 5]),
    Continuation([9], [7]),
    Continuation([1, 2, 3], [4, 6]),
    Continuation([1, 2, 3, 4], [6]),
    Continuation([*range(30)], [3, 3, 3]),
    Continuation([8], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
    Continuation([1, 2, 3], [4, 5]),
]


def trained(kind: str) -> Any:
    config = small(**ALL[kind], initialization=0.3)
    device = torch.device("cpu")
    return SimpleNamespace(
        config=SimpleNamespace(model=config), model=shaken(build(config)), device=device
    )


@pytest.mark.parametrize("scores", [1, 1 << 20])
@pytest.mark.parametrize("kind", ALL)
@torch.no_grad()
def test_each_continuation_has_the_probability_that_it_has_alone(
    kind: str, scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuations, "SCORES", scores)
    model, done = trained(kind), list[int]()
    found = likelihoods(model, SOME, done.append)
    reach = model.config.model.reach or 100
    for one, measured in zip(SOME, found, strict=True):
        ids = torch.tensor([*one.given, *one.tokens])[-reach - 1 :]
        logs = model.model(ids[None, :-1])[0].log_softmax(-1)[-len(one.tokens) :]
        wanted = torch.tensor(one.tokens)
        assert measured.log == pytest.approx(
            float(logs[range(len(wanted)), wanted].sum()), abs=1e-4
        )
        assert measured.greedy is bool((logs.argmax(-1) == wanted).all())
    assert sum(done) == len(SOME)


def test_the_likeliest_continuation_is_called_greedy() -> None:
    model = trained("gpt2")
    with torch.no_grad():
        likeliest = int(model.model(torch.tensor([[1, 2, 3]]))[0, -1].argmax())
    tokens = [[likeliest], [(likeliest + 1) % 50]]
    found = likelihoods(model, [Continuation([1, 2, 3], one) for one in tokens])
    assert [one.greedy for one in found] == [True, False]
    assert found[0].log > found[1].log


def test_texts_that_differ_in_their_last_token_are_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, read = trained("gpt2"), list[Any]()
    inner = model.model
    monkeypatch.setattr(model, "model", lambda rows: read.append(rows.shape) or inner(rows))
    likelihoods(model, [Continuation([1, 2], [n]) for n in range(9)])
    assert read == [(1, 2)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"until": ["\n", ""]}, WritingConfig(SamplingConfig(temperature=0.0, stop=("\n",)), 256)),
        (
            {"until": "Q:", "do_sample": False, "temperature": 0.7, "top_p": 0.9, "max_tokens": 5},
            WritingConfig(SamplingConfig(temperature=0.0, stop=("Q:",)), 5),
        ),
        (
            {"do_sample": True, "top_k": 3},
            WritingConfig(SamplingConfig(temperature=1.0, top_k=3), 256),
        ),
        (
            {"temperature": 0.5, "top_p": 0.9, "max_new_tokens": 7, "max_gen_toks": 8},
            WritingConfig(SamplingConfig(temperature=0.5, top_p=0.9), 8),
        ),
        (
            {"num_beams": 3, "length_penalty": 2, "repetition_penalty": 1.2},
            WritingConfig(
                SamplingConfig(0.0, beams=3, length_penalty=2, repetition_penalty=1.2), 256
            ),
        ),
    ],
)
def test_what_a_task_asks_of_a_text(asked: dict[str, Any], found: WritingConfig) -> None:
    assert writing(asked) == found


def test_everything_that_no_model_of_ours_does_is_named() -> None:
    with pytest.raises(DataError) as caught:
        writing({"until": ["."], "min_p": 0.1, "max_length": 9})
    names = [problem.where for problem in caught.value.problems]
    assert names == ["generation_kwargs.min_p", "generation_kwargs.max_length"]
