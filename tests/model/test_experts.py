"""A mixture of experts computes what a loop over its tokens says, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.models import LLAMA, TOKENS, build, loss_and_gradients, shaken, small
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.attention import Cache
from dslm.model.block import ACTIVATIONS
from dslm.model.check import check_model
from dslm.model.config import ModelConfig
from dslm.model.counts import active_count, flops_per_token, parameter_count
from dslm.model.experts import Experts
from dslm.model.float8 import Float8Config, check_float8
from dslm.model.lora import LoraConfig, check_lora
from dslm.parallel.muon import check_matrices
from dslm.quantization.config import QuantizationConfig, check_quantization
from dslm.run.presets import PRESETS

ONE = {"experts_per_token": 1, "experts_normalized": False}
KINDS: dict[str, dict[str, Any]] = {
    "two of four": {"experts": 4},
    "one of four": {"experts": 4, **ONE},
    "all of three": {"experts": 3, "experts_per_token": 3},
    "of Mixtral": {"experts": 8, **LLAMA},
    "not normalized": {"experts": 4, "experts_normalized": False, **LLAMA},
}


def layer(**changes: Any) -> Experts:
    """A mixture whose weights are all random."""
    config = small(**changes)
    return shaken(Experts(config, ACTIVATIONS[config.activation])).train()


def by_token(experts: Experts, token: Tensor) -> Tensor:
    """What a token [D] becomes, one expert after the other."""
    config = experts.config
    probabilities = (experts.router.weight @ token).softmax(0)
    chosen = probabilities.argsort(descending=True)[: config.experts_per_token].tolist()
    total = sum(probabilities[one] for one in chosen) if config.experts_normalized else 1.0
    made = torch.zeros_like(token)
    for one in chosen:
        inner = experts.enter.weight[one] @ token
        if config.gated:
            gate, inner = inner.chunk(2)
            inner = experts.activation(gate) * inner
        else:
            inner = experts.activation(inner)
        made = made + probabilities[one] / total * (experts.leave.weight[one] @ inner)
    return made


def routers_losses(experts: Experts, hidden: Tensor, is_text: Tensor) -> tuple[Tensor, Tensor]:
    """Both losses, row by row and token by token."""
    config, balances, sizes = experts.config, [], []
    for row, text in zip(hidden, is_text, strict=True):
        scores = (row @ experts.router.weight.T)[text]
        probabilities = scores.softmax(-1)
        chosen = probabilities.topk(config.experts_per_token).indices.flatten()
        shares = torch.bincount(chosen, minlength=config.experts) / max(len(chosen), 1)
        mean = probabilities.sum(0) / max(len(scores), 1)
        balances.append(config.experts * (shares * mean).sum())
        sizes.append(scores.exp().sum(-1).log().square().sum() / max(len(scores), 1))
    return torch.stack(balances).mean(), torch.stack(sizes).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_becomes_what_its_experts_make_of_it(kind: str) -> None:
    experts, hidden = layer(**KINDS[kind]), torch.randn(3, 5, 32)
    wanted = torch.stack([by_token(experts, token) for token in hidden.flatten(0, 1)])
    torch.testing.assert_close(experts(hidden), wanted.view(3, 5, 32), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(experts.eval()(hidden[:1, :1]), wanted.view(3, 5, 32)[:1, :1])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(data=st.data())
def test_the_gradient_is_that_of_the_loss_and_of_the_routers_losses(
    kind: str, data: st.DataObject
) -> None:
    experts, scale = layer(**KINDS[kind]), data.draw(st.sampled_from([0.25, 1.0, 8.0]))
    rows, length = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 6))
    marks = st.lists(st.booleans(), min_size=rows * length, max_size=rows * length)
    is_text = torch.tensor(data.draw(marks)).view(rows, length)
    hidden = torch.randn(rows, length, 32, requires_grad=True)
    experts.scale = torch.tensor(scale)
    experts.measured = torch.zeros(3 + experts.config.experts)
    weights = [hidden, *experts.parameters()]
    found = torch.autograd.grad((experts(hidden, is_text).square().sum() * scale), weights)

    plain = torch.stack([by_token(experts, token) for token in hidden.flatten(0, 1)])
    balance, size = routers_losses(experts, hidden, is_text)
    whole = plain.square().sum() + 0.01 * balance + 0.001 * size
    wanted = torch.autograd.grad(whole * scale, weights)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    passes, *losses = experts.measured[:3].tolist()
    assert passes == 1
    assert losses == pytest.approx([balance.item(), size.item()], rel=1e-4, abs=1e-6)
    assert experts.measured[3:].sum() == is_text.sum() * experts.config.experts_per_token


def test_the_losses_of_a_batch_are_the_means_of_its_rows() -> None:
    experts, hidden = layer(experts=4), torch.randn(6, 5, 32)
    means = []
    for rows in (hidden.split(6), hidden.split(2), hidden.split(1)):
        experts.measured = torch.zeros(7)
        for some in rows:
            experts(some)
        means.append(experts.measured[1:3] / experts.measured[0])
        counts = experts.measured[3:]
        assert counts.sum() == 6 * 5 * 2
    torch.testing.assert_close(means[1], means[0])
    torch.testing.assert_close(means[2], means[0])


def test_tokens_spread_evenly_give_a_balance_of_one() -> None:
    experts = layer(experts=4, **ONE)
    nn.init.zeros_(experts.router.weight)
    experts.router.weight.data[:, :4] = torch.eye(4)
    experts.measured = torch.zeros(7)
    experts(torch.cat([torch.eye(4), torch.zeros(4, 28)], 1)[None])
    assert float(experts.measured[1]) == pytest.approx(1.0)
    assert experts.measured[3:].tolist() == [1.0] * 4


def test_nothing_is_measured_without_learning() -> None:
    experts, hidden = layer(experts=4), torch.randn(1, 5, 32)
    experts.measured = torch.zeros(7)
    with torch.no_grad():
        experts(hidden)
    experts.eval()(hidden)
    assert not experts.measured.any()


def test_what_is_computed_again_is_measured_once() -> None:
    model = build(small(experts=4, recompute=True))
    experts = [part for part in model.modules() if isinstance(part, Experts)]
    for part in experts:
        part.measured = torch.zeros(7)
    F.cross_entropy(model(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten()).backward()
    assert [part.measured[0].item() for part in experts] == [1.0, 1.0]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_router_scores_in_float32_whatever_its_experts_compute_in(kind: torch.dtype) -> None:
    experts, hidden = layer(experts=4), torch.randn(1, 5, 32)
    with torch.autocast("cpu", kind):
        assert experts.router(hidden).dtype == torch.float32
        made = experts(hidden)
    assert made.dtype == kind
    torch.testing.assert_close(made.float(), experts(hidden), rtol=0.1, atol=0.02)
    half = layer(experts=4).to(kind)
    assert half.router(hidden.to(kind)).dtype == torch.float32
    assert half(hidden.to(kind)).dtype == kind


def test_a_token_is_computed_alike_whoever_is_beside_it() -> None:
    model = build(small(experts=4, **LLAMA)).eval()
    alone = model(TOKENS[:1])
    torch.testing.assert_close(model(TOKENS)[:1], alone)
    shorter = model(TOKENS[:, :7])
    torch.testing.assert_close(model(TOKENS)[:, :7], shorter)


@pytest.mark.parametrize("pieces", [[1] * 16, [5, 1, 1, 9]])
@torch.no_grad()
def test_a_text_read_in_pieces_gets_the_scores_of_the_whole(pieces: list[int]) -> None:
    config = small(experts=4, **LLAMA)
    model = build(config).eval()
    caches = [Cache(config, 2, 16, torch.empty(0)) for _ in range(config.layers)]
    scores = [model(piece, caches) for piece in TOKENS.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(scores, dim=1), model(TOKENS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("recompute", [True, 2, "selective"])
def test_recomputing_changes_neither_loss_nor_gradients(recompute: Any) -> None:
    loss, gradients = loss_and_gradients(small(experts=4, **LLAMA))
    again, others = loss_and_gradients(small(experts=4, **LLAMA, recompute=recompute))
    assert torch.equal(again, loss)
    assert all(torch.equal(one, other) for one, other in zip(gradients, others, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_counted(kind: str) -> None:
    config = small(**KINDS[kind])
    model = build(config)
    assert parameter_count(config) == sum(weight.numel() for weight in model.parameters())
    idle = config.experts - config.experts_per_token
    one = sum(
        weight[0].numel()
        for name, weight in model.named_parameters()
        if ".enter." in name or ".leave." in name
    )
    assert active_count(config) == parameter_count(config) - idle * one


@pytest.mark.parametrize(
    ("preset", "vocabulary", "whole", "active"),
    [
        ("mixtral_8x7b", 32000, 46_702_792_704, 12_879_925_248),
        # Less the norms of queries and keys, 2 × 16 × 2048 weights.
        ("olmoe_1b_7b", 50304, 6_919_161_856 - 65_536, 1_282_017_280 - 65_536),
    ],
)
def test_the_presets_have_the_published_sizes(
    preset: str, vocabulary: int, whole: int, active: int
) -> None:
    config = ModelConfig(**PRESETS[preset]()["model"], vocabulary=vocabulary)
    assert (parameter_count(config), active_count(config)) == (whole, active)


def test_operations_are_those_of_the_experts_that_are_chosen() -> None:
    dense = flops_per_token(small(bias=False))
    one = flops_per_token(small(bias=False, experts=4, **ONE))
    two = flops_per_token(small(bias=False, experts=4))
    router, layer_of_block = 6 * 2 * 4 * 32, 6 * 2 * 2 * 32 * 128
    assert one == dense + router
    assert two == one + layer_of_block


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"experts": 2, "experts_per_token": 3}, ["experts_per_token"]),
        ({"experts": 2, "experts_per_token": 1}, ["experts_normalized"]),
        ({"experts": 2, "width": 36, "feed_forward": 20}, ["width", "feed_forward"]),
        ({"experts": 2, "block": "lstm", "heads": None}, ["experts"]),
        ({"experts": 2}, []),
    ],
)
def test_what_cannot_be_routed_is_refused(changes: dict[str, Any], keys: list[str]) -> None:
    defaults = {"layers": 1, "heads": 4, "width": 32, "sequence": 16, "positions": "none"}
    problems = check_model(ModelConfig(**{**defaults, **changes}))
    assert [problem.where for problem in problems] == [f"model.{key}" for key in keys]


def test_what_needs_single_matrices_is_refused() -> None:
    model = small(experts=4, **LLAMA)
    (muon,) = check_matrices("Muon", model)
    (rounded,) = check_quantization(QuantizationConfig(scheme="w4"), model.map_inputs)
    (float8,) = check_float8(Float8Config(), model, used=True)
    (adapted,) = check_lora(LoraConfig(rank=4, targets="feed_forward"), model)
    assert [muon.where, rounded.where] == ["model.experts", "quantization.scheme"]
    assert [float8.where, adapted.where] == ["precision", "lora.targets"]
    assert not check_matrices("AdamW", model)
    assert not list(check_lora(LoraConfig(rank=4, targets="attention"), model))
