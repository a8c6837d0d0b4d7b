"""An autoencoder's shape: counted exactly, whose decoder sees nothing but its code."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from helpers.models import KINDS, build, shaken, small
from torch import Tensor

from dslm.model.bottleneck import Bottleneck
from dslm.model.check import check_model
from dslm.model.config import ModelConfig
from dslm.model.counts import flops_per_token, parameter_count
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

CODED: dict[str, Any] = {"attention": "full", "bottleneck_length": 4, "bottleneck_width": 5}
TOKENS = torch.randint(50, (2, 16), generator=torch.Generator().manual_seed(1))
OTHERS = (TOKENS + 7) % 50


def coded(**changes: Any) -> ModelConfig:
    return small(**{**CODED, "decoder_layers": 1, **changes})


def bottleneck_of(model: Transformer) -> tuple[str, Bottleneck]:
    return next((k, one) for k, one in model.layers.items() if isinstance(one, Bottleneck))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output", ["scores", "vectors"])
def test_the_count_is_that_of_the_model(kind: str, output: str) -> None:
    for length, width, decoder in product([1, 4, 16], [None, 5], [None, 1, 3]):
        more = {"bottleneck_length": length, "bottleneck_width": width, "decoder_layers": decoder}
        config = coded(**KINDS[kind], **more, output=output)
        if output == "vectors" and not config.tied:
            continue
        extras = ("originals",) if output == "vectors" else ()
        model = Transformer(stages(config, 0, extras))
        assert parameter_count(config) == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("bias", [True, False])
def test_the_operations_are_those_of_the_blocks_the_code_and_the_head(bias: bool) -> None:
    width, narrow, size, blocks = 32, 5, 50, 3
    config = coded(bias=bias, norm="rms")
    attention = 12 * blocks * width * 16
    of_block = width * 3 * width + width * width + 2 * width * 4 * width
    others = blocks * (9 * width) if bias else 0
    norms = blocks * 2 * width + 2 * width
    to_code = 2 * width * narrow + (width + narrow if bias else 0)
    weights = blocks * of_block + others + norms + to_code * 4 / 16 + size * width
    assert flops_per_token(config) == pytest.approx(6 * weights + attention, abs=6)
    head = size * width - (width * width + (width if bias else 0))
    vectors = flops_per_token(coded(bias=bias, norm="rms", output="vectors"))
    assert vectors == flops_per_token(config) - 6 * head


@pytest.mark.parametrize("position", ["pre", "post"])
def test_the_encoder_stands_where_the_blocks_of_a_plain_model_stand(position: str) -> None:
    plain = build(small(norm_position=position, attention="full"))
    encoder = build(coded(norm_position=position))
    last = 2 + 2 + (position == "pre")
    for index in range(last):
        ours, theirs = (model.layers[str(index)].state_dict() for model in (encoder, plain))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert isinstance(encoder.layers[str(last)], Bottleneck)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_with_the_code_held_fixed_nothing_of_the_input_comes_out(kind: str) -> None:
    config = coded(**KINDS[kind])
    model = shaken(build(config))
    visibility = -(torch.arange(16) < 11).long().expand(2, 16)
    carrying = Transformer(stages(config, 0, ("visibility",))).eval()
    carrying.load_state_dict(model.state_dict())
    before, after = carrying((TOKENS, -torch.ones_like(visibility))), carrying((OTHERS, visibility))
    assert (before - after).abs().max() > 1e-3
    _, bottleneck = bottleneck_of(carrying)
    code = bottleneck.encode(torch.randn(2, 16, 32))
    bottleneck.encode = lambda *_: code  # type: ignore[method-assign]
    before, after = carrying((TOKENS, -torch.ones_like(visibility))), carrying((OTHERS, visibility))
    assert torch.equal(before, after)


def test_every_gradient_of_the_encoder_comes_through_the_code() -> None:
    model = shaken(build(coded(tied=False)))
    index, bottleneck = bottleneck_of(model)
    found: list[Tensor] = []
    encode = bottleneck.encode

    def cut(*arguments: Any) -> Tensor:
        found.append(encode(*arguments).detach().requires_grad_())
        return found[-1]

    bottleneck.encode = cut  # type: ignore[method-assign]
    model(TOKENS).square().sum().backward()
    assert found[0].grad is not None
    assert found[0].grad.abs().min() > 0
    for key, layer in model.layers.items():
        learns = [weight.grad is not None for weight in layer.parameters()]
        if int(key) < int(index):
            assert not any(learns)
        elif int(key) > int(index):
            assert all(learns)


@torch.no_grad()
def test_the_code_is_the_mean_of_each_piece_without_its_padding() -> None:
    bottleneck = Bottleneck(coded())
    hidden, lengths = torch.randn(3, 16, 32), [16, 11, 5]
    visibility = -(torch.arange(16) < torch.tensor(lengths)[:, None]).long()
    code = bottleneck.encode(hidden, visibility)
    assert code.shape == (3, 4, 5)
    for row, length in enumerate(lengths):
        for piece in range(4):
            vectors = hidden[row, piece * 4 : min(piece * 4 + 4, max(length, piece * 4))]
            mean = vectors.mean(0) if len(vectors) else torch.zeros(32)
            assert torch.allclose(code[row, piece], bottleneck.narrow(mean), atol=1e-6)
    assert torch.allclose(bottleneck.encode(hidden)[0], code[0], atol=1e-6)


@torch.no_grad()
def test_every_place_gets_vectors_of_its_own_from_one_code() -> None:
    vectors = Bottleneck(coded(bottleneck_length=1)).decode(torch.randn(1, 1, 5))[0]
    assert torch.cdist(vectors, vectors).add(torch.eye(16)).min() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("vocabulary", [300, 5000])
def test_the_first_loss_is_that_of_guessing(vocabulary: int) -> None:
    model = build(coded(width=128, sequence=64, vocabulary=vocabulary)).eval()
    tokens = torch.randint(vocabulary, (3, 64), generator=torch.Generator().manual_seed(7))
    scores = model(tokens)
    loss = float((scores.logsumexp(-1) - scores.mean(-1)).mean())
    assert loss == pytest.approx(math.log(vocabulary), abs=0.1)


def test_the_vectors_are_compared_with_the_embeddings_of_the_originals() -> None:
    config = coded(output="vectors")
    model = Transformer(stages(config, 0, ("originals",)))
    predicted, targets = model((OTHERS, TOKENS))
    assert torch.equal(targets, model.layers["0"].embedding.weight[TOKENS])
    assert not targets.requires_grad
    predicted.sum().backward()
    assert model.layers["0"].embedding.weight.grad is not None


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"bottleneck_length": 5},
            "model.bottleneck_length = 5: does not divide model.sequence = 16; use 4 or 8",
        ),
        (
            {"transform": True},
            "model.transform = True: does not go with model.bottleneck_length; leave it out",
        ),
        (
            {"output": "vectors", "tied": False},
            "model.tied = False: gives a head to scores, but model.output = vectors has none; "
            "leave it out",
        ),
        (
            {"bottleneck_length": 0, "bottleneck_width": None},
            "model.decoder_layers = 1: needs a code; set model.bottleneck_length, or leave it out",
        ),
    ],
)
def test_a_shape_that_cannot_be_built_is_reported(changes: dict[str, Any], line: str) -> None:
    assert [str(problem) for problem in check_model(coded(**changes))] == [line]
