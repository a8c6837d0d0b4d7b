"""What is seen inside a model is what `transformers` says of the same weights."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers.models import KINDS, TOKENS, build, shaken, small
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dslm.inspection.attention import AttentionWeights, rollout
from dslm.inspection.likelihood import log_likelihoods
from dslm.inspection.look import look
from dslm.inspection.row import row_of

TEXT = "the stone of the river"


def told(theirs: Any, ids: tuple[int, ...], **more: Any) -> Any:
    return theirs(torch.tensor([ids]), output_attentions=True, output_hidden_states=True, **more)


class Mixed(TorchFunctionMode):
    """Keeps the values of each attention and what it makes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Tensor, Tensor]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is F.scaled_dot_product_attention and args[2].shape[-1] == args[1].shape[-1]:
            self.found.append((args[2], result))
        return result


@pytest.mark.parametrize("attention", ["causal", "full"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_weights_times_values_are_what_the_model_computes(kind: str, attention: Any) -> None:
    model = shaken(build(small(**KINDS[kind], attention=attention)))
    before = model(TOKENS)
    with Mixed() as mixed, AttentionWeights() as weights:
        after = model(TOKENS)
    assert torch.equal(before, after)
    assert len(weights.found) == len(mixed.found) == 2
    for found, (values, result) in zip(weights.found, mixed.found, strict=True):
        values = values.repeat_interleave(4 // values.shape[1], dim=1)
        assert float((found @ values - result).abs().max()) <= 1e-5
        assert float((found.sum(-1) - 1).abs().max()) <= 1e-5
        assert bool(found.triu(1).any()) == (attention == "full")


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bert", "bert without pairs"])
def test_attention_is_that_of_transformers(kind: str, both: Any) -> None:
    trained, theirs = both(kind)
    row = row_of(TEXT, trained.tokenizer, trained.objective)
    with torch.no_grad():
        wanted = torch.cat(told(theirs, row.ids).attentions)
    found = look(trained, row)
    assert found.attention[0].weights.shape == wanted.shape
    assert float((found.attention[0].weights - wanted).abs().max()) <= 1e-5


def test_rollout_follows_paths_through_the_layers() -> None:
    first, second = torch.tensor([[1.0, 0], [0.5, 0.5]]), torch.tensor([[1.0, 0], [0.8, 0.2]])
    heads = torch.stack([torch.stack([first, first]), torch.stack([second, torch.eye(2)])])
    found = rollout(heads)
    # Half of each layer goes straight on. From the second token: directly 0.75 × 0.8, and of
    # what it looks at 0.25 × 0.8 + 1 × 0.2.
    assert found[0].tolist() == [[1.0, 0.0], [0.25, 0.75]]
    assert found[1][1].tolist() == pytest.approx([0.2 + 0.8 * 0.25, 0.8 * 0.75])


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bert"])
def test_the_lens_puts_the_head_on_every_layer(kind: str, both: Any) -> None:
    trained, theirs = both(kind)
    row = row_of(TEXT, trained.tokenizer, trained.objective)
    with torch.no_grad():
        outputs = told(theirs, row.ids)
        hidden = list(outputs.hidden_states)
        if kind == "bert":
            scores = [theirs.cls.predictions(one) for one in hidden]
        else:
            inner = theirs.transformer if kind == "gpt2" else theirs.model
            norm = inner.ln_f if kind == "gpt2" else inner.norm
            scores = [theirs.lm_head(norm(one)) for one in hidden[:-1]]
            scores.append(outputs.logits)  # their last hidden vectors are normalized
    found = look(trained, row).lens
    assert len(found) == len(scores)
    for mine, theirs_scores in zip(found, scores, strict=True):
        likely = theirs_scores[0].softmax(-1)[:, : trained.tokenizer.vocabulary]
        wanted = likely.max(-1).values
        assert [one.probability for one in mine] == pytest.approx(wanted.tolist(), abs=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_surprisal_and_saliency_of_a_causal_model(kind: str, both: Any) -> None:
    trained, theirs = both(kind)
    row = row_of(TEXT, trained.tokenizer, trained.objective)
    assert row.ids[0] == trained.tokenizer.end_of_document
    found, ids = look(trained, row, target=9), torch.tensor(row.ids)
    vectors = theirs.get_input_embeddings()(ids)[None].detach().requires_grad_()
    logs = theirs(inputs_embeds=vectors).logits[0].log_softmax(-1)
    likely = float(logs[-1, 9].detach().exp())
    bits = -logs[:-1].gather(1, ids[1:, None])[:, 0].detach() / math.log(2)
    assert found.bits[0] is None
    assert found.bits[1:] == pytest.approx(bits.tolist(), abs=1e-4)
    (gradient,) = torch.autograd.grad(logs[-1, 9], vectors)
    parts = (gradient * vectors).sum(-1)[0].detach()
    assert found.saliency == pytest.approx(parts.tolist(), abs=1e-5)
    assert found.target.probability == pytest.approx(likely, abs=1e-6)
    assert found.position == len(row.ids) - 1


def test_a_masked_model_is_asked_with_one_token_hidden_at_a_time(both: Any) -> None:
    trained, theirs = both("bert")
    row = row_of(TEXT, trained.tokenizer, trained.objective)
    ids, mask = list(row.ids), trained.tokenizer.special["mask"]
    assert row.scored == tuple(range(1, len(ids) - 1)), "all but [CLS] and [SEP]"
    wanted = []
    for place in row.scored:
        hidden = torch.tensor([[*ids[:place], mask, *ids[place + 1 :]]])
        with torch.no_grad():
            logs = theirs(hidden).prediction_logits[0, place].log_softmax(-1)
        wanted.append(float(logs[ids[place]]))
    assert log_likelihoods(trained, row, row.scored) == pytest.approx(wanted, abs=1e-5)


def test_what_a_mask_hides_is_the_target(both: Any) -> None:
    trained, _ = both("bert")
    row = row_of("the <mask> of the river", trained.tokenizer, trained.objective)
    found = look(trained, row)
    (place,) = row.masks
    assert (found.position, found.bits[place], found.tokens[place]) == (place, None, "<mask>")
    best = found.lens[-1][place]
    assert (found.target.piece, found.target.probability) == (
        best.piece,
        pytest.approx(best.probability, abs=1e-5),
    )
