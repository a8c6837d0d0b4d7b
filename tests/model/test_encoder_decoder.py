"""Encoder–decoders against the T5 and BART of `transformers`, with the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.encoder_decoders import EXTRAS, KINDS, THEIRS, pair
from helpers.models import TOKENS, build, shaken, small

from dslm.model.attention import Cache
from dslm.model.check import check_model
from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

GENERATOR = torch.Generator().manual_seed(1)
SOURCE = torch.randint(3, 97, (3, 40), generator=GENERATOR)
TARGET = torch.randint(3, 97, (3, 37), generator=GENERATOR)
REAL = torch.arange(40) < torch.tensor([[40], [11], [1]])


@pytest.mark.parametrize("kind", THEIRS)
def test_logits_are_those_of_transformers(kind: str) -> None:
    """With padding in the source and without it."""
    config, ours, theirs = pair(kind)
    for real in (torch.ones_like(REAL), REAL):
        with torch.no_grad():
            scores = ours((SOURCE, -real.long(), TARGET))
            known = theirs(SOURCE, attention_mask=real.long(), decoder_input_ids=TARGET).logits
        assert (scores - known).abs().max() <= 1e-5
        assert known.std() > 0.1
    count = sum(weight.numel() for weight in ours.parameters())
    unused = 2 * 2 * config.width if kind == "BART" else 0
    assert parameter_count(config) == count == theirs.num_parameters() - unused


@pytest.mark.parametrize("kind", KINDS)
def test_cached_scores_are_those_of_the_whole_target(kind: str) -> None:
    config = ModelConfig(**KINDS[kind])
    model = shaken(Transformer(stages(config, 0, EXTRAS)))
    source = SOURCE, -REAL.long()
    with torch.no_grad():
        whole = model((*source, TARGET))
        caches = [Cache(config, 3, 37, whole) for _ in range(config.layers)]
        parts = [model((*source, TARGET[:, :5]), caches)]
        reader = model.layers["0"].register_forward_pre_hook(lambda _, given: read.append(given))
        read: list[Any] = []
        parts += [model(ids, caches) for ids in TARGET[:, 5:].split(1, dim=1)]
        reader.remove()
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
    ids = [given for given in read if not given[0].is_floating_point()]
    assert len(ids) == 32, "the source is read again"


def test_a_source_of_padding_alone_gives_finite_scores() -> None:
    model = Transformer(stages(ModelConfig(**KINDS["BART"]), 0, EXTRAS)).eval()
    assert model((SOURCE, torch.zeros_like(SOURCE), TARGET)).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputed_activations_give_the_same_gradients(kind: str, dropout: float) -> None:
    found = []
    for recompute in (False, True, 2, "selective"):
        config = ModelConfig(**KINDS[kind], recompute=recompute, dropout=dropout)
        model = Transformer(stages(config, 0, (*EXTRAS, DROPOUT_KEYS)))
        scores = model((SOURCE, -REAL.long(), TARGET, torch.tensor([3, -5, 7])))
        torch.nn.functional.cross_entropy(scores.flatten(0, 1), TARGET.flatten()).backward()
        found.append({name: one.grad for name, one in model.named_parameters()})
    assert all(one is not None and one.any() for one in found[0].values())
    for name, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][name], rtol=1e-5, atol=1e-7), name


@pytest.mark.parametrize("positions", ["learned", "relative", "rotary"])
def test_one_stack_may_have_every_kind_of_positions(positions: str) -> None:
    config = small(positions=positions)
    model = shaken(build(config))
    with torch.no_grad():
        whole = model(TOKENS)
        caches = [Cache(config, 2, 16, whole) for _ in range(config.layers)]
        parts = [model(ids, caches) for ids in TOKENS.split([9, 1, 6], dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
    assert parameter_count(config) == sum(weight.numel() for weight in model.parameters())


MISTAKES = {
    "model.segments": {"segments": 2},
    "model.bottleneck_length": {"bottleneck_length": 4},
    "model.block": {"block": "lstm", "heads": None, "positions": "none"},
    "model.head_scale": {"head_scale": True, "tied": False},
    "model.relative_distance": {"positions": "relative", "relative_distance": 16},
}


@pytest.mark.parametrize("key", MISTAKES)
def test_what_cannot_be_built_is_refused(key: str) -> None:
    problems = check_model(small(encoder_layers=2, **MISTAKES[key]))
    assert [one.where for one in problems] == [key]
    assert not check_model(small(encoder_layers=2))
