"""Which weights a model takes from another one, and which it initializes."""

from __future__ import annotations

import math
from typing import Any

import torch
from helpers.models import build, small

from dslm.model.counts import parameter_count
from dslm.model.stages import drawn, stages
from dslm.train.weight_transfer import compare, initial_weights

MASKED = {"attention": "full", "transform": True, "vocabulary": 51}
PAIRS = {**MASKED, "segments": 2, "pair_head": True}


def initialized(before: dict[str, Any], model: dict[str, Any]) -> list[str]:
    """What is initialized, once the sums have been checked."""
    found = compare(small(**before), small(**model))
    rest = sum(
        (shape[0] - found.rows[name]) * torch.Size(shape[1:]).numel()
        for name, shape in found.shapes.items()
    )
    assert found.transferred + rest == parameter_count(small(**model))
    return found.initialized


def test_the_same_shape_takes_everything() -> None:
    for shape in ({}, PAIRS, {"tied": False}):
        assert initialized(shape, shape) == []


def test_what_a_token_sees_does_not_matter() -> None:
    assert initialized({}, {"attention": "full"}) == []


def test_a_masked_model_initializes_its_heads_when_it_begins_with_a_causal_one() -> None:
    assert initialized({}, MASKED) == [
        "1 row of TokenEmbedding.embedding",
        "PredictionTransform",
        "OutputBias",
    ]
    assert initialized({}, PAIRS) == [
        "1 row of TokenEmbedding.embedding",
        "Positions.segment_embedding",
        "PredictionTransform",
        "OutputBias",
    ]


def test_a_causal_model_takes_the_trunk_of_a_masked_one() -> None:
    assert initialized(PAIRS, {"segments": 2}) == []


def test_the_head_of_pairs_comes_and_goes_alone() -> None:
    assert initialized({**MASKED, "segments": 2}, PAIRS) == [
        "PredictionTransform.pooler",
        "OutputBias.pair",
    ]
    assert initialized(PAIRS, {**MASKED, "segments": 2}) == []


def test_the_pooler_of_pairs_serves_classes() -> None:
    classes = {**PAIRS, "transform": False, "pair_head": False, "classes": 3, "pooler": True}
    assert initialized(PAIRS, classes) == ["ClassHead.classes"]
    assert initialized({**MASKED, "segments": 2}, classes) == ["ClassHead"]
    assert initialized(PAIRS, {**classes, "layers": 3}) == [
        "Block",
        "FinalNorm",
        "ClassHead",
    ]


def test_more_layers_are_initialized_and_the_first_of_a_deeper_model_are_transferred() -> None:
    assert initialized({}, {"layers": 5}) == ["3 × Block", "FinalNorm"]
    assert initialized({"layers": 5}, {}) == ["FinalNorm"]
    post = {"norm_position": "post"}
    assert initialized({"layers": 5, **post}, post) == []


def test_after_the_first_difference_nothing_is_transferred() -> None:
    assert initialized({"tied": False}, {**MASKED, "tied": False}) == [
        "1 row of TokenEmbedding.embedding",
        "PredictionTransform",
        "Head",
        "OutputBias",
    ]


def test_an_encoder_comes_from_a_plain_model_and_goes_to_one() -> None:
    coded = {"attention": "full", "bottleneck_length": 4, "decoder_layers": 1}
    assert initialized({}, coded) == ["Bottleneck", "Block", "FinalNorm"]
    assert initialized(coded, {}) == []


def read_all(before: Any, model: Any) -> dict[str, torch.Tensor]:
    """Every weight of a model that begins with another one."""
    transfer, old = compare(before, model), build(before, seed=1).layers.state_dict()
    new = drawn(stages(model, seed=2))

    def stored(name: str, start: int, stop: int) -> torch.Tensor:
        return old[name].flatten()[start:stop]

    read = initial_weights(transfer, new, stored)
    found = {}
    for name, shape in transfer.shapes.items():
        size = math.prod(shape)
        parts = [read(name, cut, min(cut + 700, size)) for cut in range(0, size, 700)]
        found[name] = torch.cat(parts).view(shape)
    return found


def test_what_is_initialized_is_what_a_run_from_scratch_initializes() -> None:
    before, model = small(), small(**PAIRS)
    found = read_all(before, model)
    old, new = (build(c, seed).layers.state_dict() for c, seed in ((before, 1), (model, 2)))
    assert found.keys() == new.keys()
    for name, weight in found.items():
        if name == "0.embedding.weight":
            assert torch.equal(weight, torch.cat([old[name], new[name][50:]]))
        else:
            assert torch.equal(weight, old.get(name, new[name])), name


def test_a_smaller_vocabulary_takes_the_rows_it_has() -> None:
    found = read_all(small(), small(vocabulary=40))
    old = build(small(), seed=1).layers.state_dict()
    assert torch.equal(found["0.embedding.weight"], old["0.embedding.weight"][:40])
