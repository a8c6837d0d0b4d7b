"""The loss of a step is the mean over all of its tokens, as in `transformers`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.models import shaken
from helpers.objective_kinds import SPECIAL, made
from torch import Tensor
from torch.nn import functional as F
from transformers import BertConfig, BertForPreTraining, GPT2Config, GPT2LMHeadModel

from dslm.objectives.batch import IGNORE
from dslm.parallel.loss import LossFunction

LENGTHS = torch.tensor([33, 20, 7, 0])
"""Labels of each row, at most."""
DRAW = torch.Generator().manual_seed(1)
TOKENS = torch.randint(6, 97, (4, 34), generator=DRAW)
CUTS = [[4], [2, 2], [1, 1, 1, 1], [3, 1], [1, 3]]
"""Rows of each micro-batch; the last row has no label."""


def causal_labels() -> Tensor:
    """What comes next, [4, 33]."""
    return TOKENS[:, 1:].masked_fill(torch.arange(33) >= LENGTHS[:, None], IGNORE)


def of_a_step(
    objective: Any, outputs: list[Any], labels: list[Any], learning: bool = True
) -> Tensor:
    """The loss of a step, as DeepSpeed makes it of micro-batches that are shared out anyhow."""
    function = LossFunction(objective)
    objective.learning = learning
    counts = sum(objective.counts(one) for one in labels)
    function.share(torch.as_tensor(counts), len(labels), 1)
    losses = [function(one, asked) for one, asked in zip(outputs, labels, strict=True)]
    return torch.stack(losses).mean()


@pytest.mark.parametrize("cut", CUTS)
def test_padded_rows_have_the_loss_and_gradient_of_gpt2_for_any_cut(cut: list[int]) -> None:
    shape = {"n_layer": 2, "n_head": 4, "n_embd": 32, "n_positions": 40, "vocab_size": 97}
    theirs = shaken(GPT2LMHeadModel(GPT2Config(**shape)))
    labels = causal_labels()
    shifted = torch.cat([torch.full((4, 1), IGNORE), labels], dim=1)  # theirs shifts back
    expected = theirs(TOKENS, labels=shifted).loss
    (right,) = torch.autograd.grad(expected, theirs.transformer.wte.weight)
    scores = [theirs(tokens[:, :-1]).logits * 1 for tokens in TOKENS.split(cut)]
    loss = of_a_step(made(), scores, list(labels.split(cut)))
    (gradient,) = torch.autograd.grad(loss, theirs.transformer.wte.weight)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert torch.allclose(gradient, right, rtol=0, atol=1e-7)
    with torch.no_grad():
        scored = theirs(TOKENS[:3, :-1]).logits.transpose(1, 2)
        rows = F.cross_entropy(scored, labels[:3], reduction="none").sum(1) / LENGTHS[:3]
    assert abs(float(rows.mean()) - float(expected.detach())) > 1e-3  # rows do not count alike


@pytest.mark.parametrize("cut", CUTS)
def test_masked_tokens_and_pairs_have_the_loss_of_bert_for_any_cut(cut: list[int]) -> None:
    config = BertConfig(
        num_hidden_layers=1,
        num_attention_heads=4,
        hidden_size=32,
        intermediate_size=64,
        max_position_embeddings=40,
        vocab_size=97,
    )
    theirs = shaken(BertForPreTraining(config)).eval()
    asked = TOKENS.masked_fill(torch.arange(34) >= LENGTHS[:, None] // 3, IGNORE)
    relation = torch.tensor([0, 1, 1, 0])
    with torch.no_grad():
        found = theirs(TOKENS, labels=asked, next_sentence_label=relation)
        pairs = zip(
            found.prediction_logits.split(cut),
            found.seq_relationship_logits.split(cut),
            strict=True,
        )
        labels = zip(asked.split(cut), relation.split(cut), strict=True)
        objective = made("masked", 34, pairs="next_sentence")
        loss = of_a_step(objective, list(pairs), list(labels))
    assert float(loss.detach()) == pytest.approx(float(found.loss), rel=1e-6)


@pytest.mark.parametrize("cut", CUTS)
def test_a_step_has_torchs_weighted_and_smoothed_mean_for_any_cut(cut: list[int]) -> None:
    scores, labels = torch.randn(4, 33, 97, generator=DRAW), causal_labels()
    weights = torch.linspace(0.01, 0.2, 97)  # whose sum in a step may be below 1
    objective = made("tagging", 33, smoothing=0.1, weights=tuple(weights.tolist()))
    pieces = [piece.clone() for piece in scores.split(cut)]
    found = of_a_step(objective, pieces, list(labels.split(cut)))
    flat = scores.flatten(0, 1), labels.flatten()
    expected = F.cross_entropy(*flat, weights, label_smoothing=0.1)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    plain = of_a_step(objective, list(scores.split(cut)), list(labels.split(cut)), learning=False)
    assert float(plain) == pytest.approx(float(F.cross_entropy(*flat)), rel=1e-6)


def test_both_parts_of_a_loss_are_smoothed() -> None:
    scores, pair = torch.randn(2, 5, 97), torch.randn(2, 2)
    tokens, relation = torch.tensor([[7, IGNORE, 8, 9, 10]] * 2), torch.tensor([0, 1])
    objective = made("masked", 34, pairs="next_sentence", smoothing=0.2)
    found = of_a_step(objective, [(scores.clone(), pair.clone())], [(tokens, relation)])
    parts = (scores.flatten(0, 1), tokens.flatten()), (pair, relation)
    expected = sum(F.cross_entropy(*part, label_smoothing=0.2) for part in parts)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_a_part_without_any_label_is_zero() -> None:
    objective = made("masked", 34, pairs="next_sentence", special=SPECIAL)
    scores, pair = torch.randn(2, 5, 97), torch.randn(2, 2)
    nothing, relation = torch.full((2, 5), IGNORE), torch.tensor([0, 1])
    loss = of_a_step(objective, [(scores, pair)], [(nothing, relation)])
    assert float(loss.detach()) == pytest.approx(float(F.cross_entropy(pair, relation)))
    nowhere = of_a_step(objective, [(scores, pair)], [(nothing, torch.full((2,), IGNORE))])
    assert float(nowhere) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sums_at_16_bits_overflow_nowhere(dtype: torch.dtype) -> None:
    scores = (torch.randn(4, 2048, 64, generator=DRAW) * 30).to(dtype).requires_grad_()
    labels = torch.randint(64, (4, 2048), generator=DRAW)
    loss = of_a_step(made(), [scores * 1], [labels])
    expected = F.cross_entropy(scores.float().flatten(0, 1), labels.flatten())
    assert loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    scale = 2.0**16
    (gradient,) = torch.autograd.grad(loss * scale, scores)
    (right,) = torch.autograd.grad(expected, scores)
    assert torch.isfinite(gradient).all()
    assert torch.allclose(gradient.float() / scale, right.float(), rtol=2**-7, atol=1e-7)
