"""Ranks that share rows compute the loss and the gradients of whole rows, whatever is learned."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.models import KEYS, LLAMA, small
from helpers.objective_kinds import SPECIAL
from helpers.sharing import on_ranks
from torch import Tensor

from dslm.config.parse import parse
from dslm.model.block import Block
from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.experts import Experts
from dslm.model.sequence import SequencePart, share_rows
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.base import Context
from dslm.objectives.batch import Batch
from dslm.parallel.activations import kept_by_block
from dslm.parallel.rows import own_part
from dslm.sampling.stream import Samples
from dslm.tasks.base import Task
from dslm.tasks.registry import ObjectiveConfig, make_objective
from dslm.tokenizers.vocabulary import Vocabulary

ROWS, SEQUENCE, SIZE, CLASSES = 4, 16, 100, 3
RELATIVE = {"positions": "relative", "relative_buckets": 8, "relative_distance": 12}


@dataclass(frozen=True)
class Kind:
    """Something that is learned."""

    objective: dict[str, Any]
    model: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    lengths: bool = False
    """Whether rows are of different lengths."""


KINDS = {
    "causal, grouped heads": Kind({"kind": "causal"}, LLAMA),
    "causal, documents apart": Kind({"kind": "causal"}, LLAMA, {"borders": True}),
    "causal, recomputed": Kind({"kind": "causal"}, {"recompute": True, "positions": "sinusoidal"}),
    "experts": Kind({"kind": "causal"}, {**LLAMA, "experts": 4, "recompute": True}),
    "experts, masked": Kind(
        {"kind": "masked"}, {"experts": 4}, {"borders": True, "padded": True}, True
    ),
    "in the middle, recomputed selectively": Kind(
        {"kind": "causal", "causal": {"fill_in_middle": 0.9}}, {"recompute": "selective"}
    ),
    "masked": Kind({"kind": "masked"}, {"transform": True}),
    "masked, documents apart": Kind(
        {"kind": "masked"}, {"norm_position": "post"}, {"borders": True, "padded": True}, True
    ),
    "pairs": Kind(
        {"kind": "masked", "masked": {"pairs": "next_sentence"}},
        {"transform": True, "embedding_norm": True},
    ),
    "spans in one stack": Kind({"kind": "denoising"}, LLAMA),
    "spans in two stacks": Kind(
        {"kind": "denoising"}, {"encoder_layers": 2, **RELATIVE}, {"two_stacks": True}
    ),
    "masking in two stacks": Kind(
        {"kind": "denoising", "denoising": {"style": "masking"}},
        {"encoder_layers": 1, "tied": False, "key_value_heads": 1},
        {"two_stacks": True},
    ),
    "code": Kind({"kind": "autoencoder"}, {"bottleneck_length": 4}, {"padded": True}, True),
    "code of vectors": Kind(
        {"kind": "autoencoder", "autoencoder": {"loss": "squared_error", "noise": 0.3}},
        {"bottleneck_length": 8, "decoder_layers": 1},
    ),
    "text of two stacks": Kind(
        {"kind": "autoencoder"}, {"encoder_layers": 1}, {"two_stacks": True}
    ),
    "class": Kind({"kind": "classification"}, {}, {"trimmed": True}, True),
    "class, whole": Kind(
        {"kind": "classification"}, {"attention": "full"}, {"full": True, "trimmed": True}, True
    ),
    "classes": Kind({"kind": "classification", "classification": {"labels": "several"}}, LLAMA),
    "amount": Kind({"kind": "classification", "classification": {"labels": "amount"}}),
    "tags": Kind({"kind": "tagging"}, {"attention": "full"}, {"full": True, "trimmed": True}, True),
    "choice": Kind({"kind": "choice"}, LLAMA, {"trimmed": True}, True),
    "target": Kind({"kind": "text_to_text"}, LLAMA, {"trimmed": True}, True),
    "target behind a prefix": Kind(
        {"kind": "text_to_text", "text_to_text": {"prefix": True}}, LLAMA, {"trimmed": True}, True
    ),
    "target of two stacks": Kind(
        {"kind": "text_to_text"},
        {"encoder_layers": 1, **RELATIVE},
        {"two_stacks": True, "trimmed": True},
        True,
    ),
}


def samples_of(objective: Any, draws: np.random.Generator, lengths: bool) -> Samples:
    """Any rows for an objective."""
    numbers, width = np.arange(ROWS), objective.window.width
    tokens = draws.integers(6, SIZE, (ROWS, width))
    sizes = np.array([width - 3, 7, width - 2, 9]) if lengths else np.full(ROWS, width)
    if isinstance(objective, Task):
        if objective.kind == "choice":
            sizes = sizes - 1
        labels = [objective.drawn_labels(draws, CLASSES, int(size)) for size in sizes]
        return Samples(tokens.astype(np.uint32), numbers, numbers, sizes, labels)
    if objective.kind == "masked" and objective.settings.paired:
        tokens[:, 0], tokens[:, 6], tokens[:, 13] = SPECIAL["cls"], SPECIAL["sep"], SPECIAL["sep"]
        sizes[:] = 14
    else:
        tokens[:, 5] = tokens[1, 9] = SPECIAL["eos"]
    return Samples(tokens.astype(np.uint32), numbers, numbers, sizes)


def made(kind: Kind) -> tuple[Any, Transformer, Batch]:
    """The objective, a model of it, and a batch."""
    config = parse(ObjectiveConfig, kind.objective)
    given = {"sequence": SEQUENCE, "seed": 3, "borders": False, **kind.context}
    vocabulary = Vocabulary(SIZE, SPECIAL, Path("nowhere"))
    objective: Any = make_objective(config, Context(vocabulary=vocabulary, **given))
    objective.learning = True
    decided = config.selected.model(config.settings)
    if isinstance(objective, Task) and not objective.writes and objective.kind != "choice":
        decided |= {"classes": CLASSES if objective.measures else 1}
    shape = {"vocabulary": SIZE + objective.extra_ids, "dropout": 0.2, **decided, **kind.model}
    model = Transformer(stages(small(**shape), 5, (*objective.extras, DROPOUT_KEYS))).train()
    draws = np.random.default_rng(2)
    inputs, labels = objective.batch(samples_of(objective, draws, kind.lengths))
    keys = torch.from_numpy(draws.integers(2**62, size=ROWS))
    return objective, model, ((*(inputs if isinstance(inputs, tuple) else (inputs,)), keys), labels)


def computed(objective: Any, model: Transformer, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """The parts of the loss and how many labels each has; the gradients of their sum."""
    inputs, labels = batch
    counts, loss = objective.counts(labels), objective.loss(model(inputs), labels)
    loss.sum().backward()
    none = torch.zeros(())
    gradients = [none if one.grad is None else one.grad for one in model.parameters()]
    return torch.stack([loss.detach(), counts.float()]), gradients


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_rows_have_the_loss_and_the_gradients_of_whole_ones(kind: str, size: int) -> None:
    objective, model, batch = made(KINDS[kind])
    shared = [copy.deepcopy(model) for _ in range(size)]
    sums, gradients = computed(objective, model, batch)
    assert sums[1].min() > 0

    def work(part: SequencePart) -> tuple[Tensor, list[Tensor]]:
        share_rows(shared[part.rank], part)
        for layer in shared[part.rank].modules():
            if isinstance(layer, Experts):
                layer.scale = torch.tensor(1 / size)  # ranks have the mean of their losses
        own = own_part(batch, objective.extras, part)
        return computed(objective, shared[part.rank], own)

    found = on_ranks(size, work)
    assert torch.allclose(sum(one for one, _ in found), sums, rtol=1e-5)
    for known, *parts in zip(gradients, *(each for _, each in found), strict=True):
        torch.testing.assert_close(sum(parts), known, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("changes", [{}, LLAMA, {"head_width": 24}, {"dropout": 0.1}])
def test_a_block_keeps_of_a_token_what_is_estimated(changes: dict[str, Any], size: int) -> None:
    shape = small(width=64, **changes)

    def work(part: SequencePart) -> int:
        block = Block(shape).train()
        share_rows(block, part)
        weights = {weight.untyped_storage().data_ptr() for weight in block.parameters()}
        kept: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        hidden = torch.randn(2, shape.sequence // size, 64, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            block(hidden, dropout_keys=KEYS)
        return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in weights)

    tokens = 2 * shape.sequence // size
    estimated = tokens * kept_by_block(shape, 4, cpu=True, shared=size)
    assert on_ranks(size, work) == [pytest.approx(estimated, rel=0.1)] * size
