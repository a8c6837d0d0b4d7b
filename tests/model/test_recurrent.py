"""LSTM and GRU behind the contract of the blocks: torch's numbers, and nothing from the future."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from helpers.models import GRU, LSTM, RECURRENT, TOKENS, build, loss_and_gradients, shaken, small
from helpers.writing import write_one
from torch import nn
from torch.nn import functional as F

from dslm.inference.sampling import SamplingConfig
from dslm.model.check import check_model
from dslm.model.config import ModelConfig
from dslm.model.counts import flops_per_token, parameter_count
from dslm.model.recurrent import Recurrence, State
from dslm.run.presets import PRESETS

THEIRS: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU}
NAMES = {"input": "weight_ih_l0", "recurrent": "weight_hh_l0"}
NAMES |= {"input_bias": "bias_ih_l0", "recurrent_bias": "bias_hh_l0"}


def states(config: ModelConfig, batch: int = 2) -> list[State]:
    return [State(config, batch, torch.empty(0)) for _ in range(config.layers)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_a_recurrence_is_torchs_own_with_the_same_weights(kind: dict[str, Any], bias: bool) -> None:
    ours = shaken(Recurrence(small(**kind, bias=bias)))
    theirs = THEIRS[kind["block"]](32, 32, batch_first=True, bias=bias)
    theirs.load_state_dict({NAMES[name]: weight for name, weight in ours.state_dict().items()})
    hidden = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ours(hidden), theirs(hidden)[0], rtol=0, atol=1e-6)


@torch.no_grad()
def test_an_lstm_begins_by_remembering() -> None:
    config = small(**LSTM)
    state, recurrence = State(config, 1, torch.empty(0)), Recurrence(config).eval()
    state.vectors[1].fill_(1.0)
    recurrence(torch.zeros(1, 1, 32), state)
    kept = torch.full((1, 1, 32), 1 / (1 + math.exp(-1)))  # by a forget gate with a bias of 1
    assert torch.allclose(state.vectors[1], kept)


@pytest.mark.parametrize("kind", [LSTM, GRU])
@torch.no_grad()
def test_matrices_of_the_memory_are_orthogonal_and_those_of_the_input_keep_its_size(
    kind: dict[str, Any],
) -> None:
    recurrence = Recurrence(small(**kind, width=64))
    for gate in recurrence.recurrent.split(64):
        assert torch.allclose(gate @ gate.T, torch.eye(64), atol=1e-5)
    assert recurrence.input.std() == pytest.approx(1 / 8, rel=0.02)


def test_the_count_is_that_of_the_model_for_every_mixture_of_choices() -> None:
    choices = {
        "block": ["lstm", "gru"],
        "positions": ["learned", "sinusoidal", "none"],
        "norm": ["layer", "rms"],
        "norm_position": ["pre", "post"],
        "bias": [True, False],
        "tied": [True, False],
    }
    for values in product(*choices.values()):
        config = small(**{**LSTM, **dict(zip(choices, values, strict=True))})
        assert check_model(config) == []
        count = sum(weight.numel() for weight in build(config).parameters())
        assert parameter_count(config) == count, config


@pytest.mark.parametrize(
    ("preset", "beside"), [("lstm_small", 1_581_056), ("gru_small", 1_581_568)]
)
def test_a_preset_has_the_count_it_tells(preset: str, beside: int) -> None:
    config = ModelConfig(**PRESETS[preset]()["model"], vocabulary=4000)
    assert parameter_count(config) == beside + 4000 * 256
    assert f"{beside:,}" in (PRESETS[preset].__doc__ or "")


def test_the_operations_of_a_token_are_six_a_weight_however_long_the_text() -> None:
    config = small(**LSTM)
    assert flops_per_token(config) == 6 * parameter_count(config)


@pytest.mark.parametrize("kind", RECURRENT)
def test_the_first_loss_is_the_logarithm_of_the_vocabulary(kind: str) -> None:
    config = small(**RECURRENT[kind], width=128, sequence=64, vocabulary=5000)
    tokens = torch.randint(5000, (3, 64), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        scores = build(config).eval()(tokens)
    loss = float((scores.logsumexp(-1) - scores.mean(-1)).mean())
    assert loss == pytest.approx(math.log(5000), abs=0.1)


@pytest.mark.parametrize("kind", RECURRENT)
@torch.no_grad()
def test_no_token_sees_those_after_it_but_all_before(kind: str) -> None:
    model = shaken(build(small(**RECURRENT[kind])))
    changed = TOKENS.clone()
    changed[:, 9:10] = (changed[:, 9:10] + 1) % 50
    before, after = model(TOKENS), model(changed)
    assert torch.allclose(before[:, :9], after[:, :9], rtol=0, atol=1e-6)
    assert (before[:, 9:] - after[:, 9:]).abs().amax(-1).min() > 1e-5


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("pieces", [[1] * 16, [5, 1, 1, 9], [16]])
@torch.no_grad()
def test_a_text_read_in_pieces_gets_the_scores_of_the_whole(kind: str, pieces: list[int]) -> None:
    config = small(**RECURRENT[kind])
    model, remembered = shaken(build(config)), states(config)
    scores = [model(piece, remembered) for piece in TOKENS.split(pieces, dim=1)]
    assert torch.allclose(torch.cat(scores, dim=1), model(TOKENS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_state_changes_no_token_even_past_the_window(kind: str) -> None:
    config = small(**RECURRENT[kind])
    model = shaken(build(config))
    sampling = SamplingConfig(temperature=1.5, top_k=20, seed=3)
    prompt = list(range(40))  # more than two windows
    kept, again = (
        write_one(model, config, prompt, sampling, 48, cached=cached) for cached in (True, False)
    )
    assert kept == again


def test_without_positions_each_token_is_read_once_however_long_the_text() -> None:
    config = small(**LSTM)
    model, read = build(config).eval(), []
    model.register_forward_pre_hook(lambda _, given: read.append(given[0].shape[1]))
    prompt = [1, 2] * 3 * config.sequence
    assert len(write_one(model, config, prompt, SamplingConfig(), 100)) == 100
    assert sum(read) == len(prompt) + 99
    assert max(read) == config.sequence


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recomputing_changes_neither_loss_nor_gradients(kind: str, dropout: float) -> None:
    plain, again = (
        loss_and_gradients(small(**RECURRENT[kind], dropout=dropout, recompute=recompute))
        for recompute in (False, True)
    )
    # Where no gradient is wanted, torch's LSTM rounds in another order.
    assert torch.allclose(plain[0], again[0], rtol=1e-6, atol=0)
    for first, second in zip(plain[1], again[1], strict=True):
        assert torch.allclose(first, second, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@torch.no_grad()
def test_a_model_in_bfloat16_stays_near_the_one_in_float32(kind: str) -> None:
    model = build(small(**RECURRENT[kind])).eval()
    exact = model(TOKENS)
    rough = model.bfloat16()(TOKENS)
    assert rough.dtype == torch.bfloat16
    assert F.cosine_similarity(rough.float(), exact, dim=-1).min() > 0.99


def test_what_only_attention_has_is_reported_at_once() -> None:
    config = small(block="lstm", key_value_heads=2, activation="swiglu", feed_forward=64)
    rule = "means nothing with model.block = 'lstm'; write "
    assert [str(problem) for problem in check_model(config)] == [
        f"model.heads = 4: {rule}model.heads=null",
        f"model.key_value_heads = 2: {rule}model.key_value_heads=null",
        f"model.feed_forward = 64: {rule}model.feed_forward=null",
        f"model.activation = 'swiglu': {rule}model.activation=gelu_tanh",
    ]


def test_a_recurrent_model_cannot_see_what_comes() -> None:
    (problem,) = check_model(small(**LSTM, attention="full"))
    assert str(problem) == (
        "model.attention = 'full': model.block = 'lstm' sees only the tokens before; "
        "use the causal objective"
    )


def test_rotary_positions_are_refused() -> None:
    (problem,) = check_model(small(**{**GRU, "positions": "rotary"}))
    assert str(problem) == (
        "model.positions = 'rotary': needs attention heads, which a recurrent block has none of; "
        "write model.positions=none"
    )


def test_attention_wants_heads() -> None:
    (problem,) = check_model(small(heads=None))
    assert str(problem) == "model.heads: is required; add model.heads=…"
