from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.models import KINDS, RECURRENT, TOKENS, build, loss_and_gradients, small
from torch.nn import functional as F

from dslm.model.attention import Cache
from dslm.model.block import Block
from dslm.model.config import ModelConfig


def caches(config: ModelConfig, capacity: int = 16) -> list[Cache]:
    return [Cache(config, 2, capacity, torch.empty(0)) for _ in range(config.layers)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pieces", [[1] * 16, [5, 1, 1, 9], [16], [10, 6]])
@torch.no_grad()
def test_a_text_read_in_pieces_gets_the_scores_of_the_whole(kind: str, pieces: list[int]) -> None:
    config = small(**KINDS[kind])
    model = build(config).eval()
    remembered = caches(config)
    scores = [model(piece, remembered) for piece in TOKENS.split(pieces, dim=1)]
    assert torch.allclose(torch.cat(scores, dim=1), model(TOKENS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_no_token_sees_those_after_it(kind: str) -> None:
    model = build(small(**KINDS[kind])).eval()
    changed = TOKENS.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 50
    before, after = model(TOKENS), model(changed)
    assert torch.allclose(before[:, :9], after[:, :9], rtol=0, atol=1e-6)
    assert (before[:, 9:] - after[:, 9:]).abs().amax(-1).min() > 1e-4


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary", "none"])
@torch.no_grad()
def test_only_a_model_with_positions_can_tell_an_order(positions: str) -> None:
    # One layer: a second one could count the tokens that each token of the first one has seen.
    model = build(small(positions=positions, layers=1, initialization=0.2)).eval()
    swapped = TOKENS[:, [1, 0, *range(2, 16)]]
    difference = float((model(TOKENS)[:, -1] - model(swapped)[:, -1]).abs().max())
    assert (difference < 1e-5) == (positions == "none")


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_recomputing_changes_neither_loss_nor_gradients(kind: str, dropout: float) -> None:
    plain, *others = (
        loss_and_gradients(small(**KINDS[kind], dropout=dropout, recompute=recompute))
        for recompute in (False, True, 2, "selective")
    )
    for again in others:
        assert torch.equal(plain[0], again[0])
        for first, second in zip(plain[1], again[1], strict=True):
            assert torch.allclose(first, second, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("every", "layers", "which"),
    [(True, 3, [1, 1, 1]), (2, 5, [0, 1, 0, 1, 0]), (3, 5, [0, 0, 1, 0, 0]), (4, 3, [0, 0, 0])],
)
def test_every_nth_block_recomputes(every: Any, layers: int, which: list[int]) -> None:
    model = build(small(layers=layers, recompute=every))
    assert [block.recompute for block in model.modules() if isinstance(block, Block)] == which
    assert small(recompute=every).recomputed(layers) == sum(which)


@pytest.mark.parametrize("kind", [*KINDS, *RECURRENT])
def test_every_weight_learns(kind: str) -> None:
    _, gradients = loss_and_gradients(small(**(KINDS | RECURRENT)[kind]))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_a_model_in_bfloat16_stays_near_the_one_in_float32() -> None:
    for kind in ("gpt2", "llama", "original"):
        model = build(small(**KINDS[kind])).eval()
        with torch.no_grad():
            exact = model(TOKENS)
            rough = model.bfloat16()(TOKENS)
        assert rough.dtype == torch.bfloat16
        assert F.cosine_similarity(rough.float(), exact, dim=-1).min() > 0.99
