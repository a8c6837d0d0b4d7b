"""Which weights a model takes from another one, and what it draws."""

from __future__ import annotations

from typing import Any

import torch
from helpers.models import build, small

from dslm.model.counts import parameter_count
from dslm.model.stages import stages
from dslm.train.weight_transfer import first_weights, transferred

MASKED = {"attention": "full", "transform": True, "vocabulary": 51}
PAIRS = {**MASKED, "segments": 2, "pair_head": True}


def drawn(before: dict[str, Any], model: dict[str, Any]) -> list[str]:
    """What is drawn, after a look at the sums."""
    found = transferred(small(**before), small(**model))
    rest = sum(
        (shape[0] - found.rows[name]) * torch.Size(shape[1:]).numel()
        for name, shape in found.shapes.items()
    )
    assert found.taken + rest == parameter_count(small(**model))
    return found.drawn


def test_the_same_shape_takes_everything() -> None:
    for shape in ({}, PAIRS, {"tied": False}):
        assert drawn(shape, shape) == []


def test_what_a_token_sees_does_not_matter() -> None:
    assert drawn({}, {"attention": "full"}) == []


def test_a_model_of_masks_draws_its_heads_when_it_begins_with_a_causal_one() -> None:
    assert drawn({}, MASKED) == [
        "1 row of TokenEmbedding.embedding",
        "PredictionTransform",
        "OutputBias",
    ]
    assert drawn({}, PAIRS) == [
        "1 row of TokenEmbedding.embedding",
        "Positions.segment_embedding",
        "PredictionTransform",
        "OutputBias",
    ]


def test_a_causal_model_takes_the_trunk_of_one_of_masks() -> None:
    assert drawn(PAIRS, {"segments": 2}) == []


def test_the_head_of_pairs_comes_and_goes_alone() -> None:
    assert drawn({**MASKED, "segments": 2}, PAIRS) == [
        "PredictionTransform.pooler",
        "OutputBias.pair",
    ]
    assert drawn(PAIRS, {**MASKED, "segments": 2}) == []


def test_more_layers_are_drawn_and_the_first_of_a_deeper_model_are_taken() -> None:
    assert drawn({}, {"layers": 5}) == ["3 × Block", "FinalNorm"]
    assert drawn({"layers": 5}, {}) == ["FinalNorm"]
    post = {"norm_position": "post"}
    assert drawn({"layers": 5, **post}, post) == []


def test_after_the_first_difference_nothing_is_taken() -> None:
    assert drawn({"tied": False}, {**MASKED, "tied": False}) == [
        "1 row of TokenEmbedding.embedding",
        "PredictionTransform",
        "Head",
        "OutputBias",
    ]


def test_an_encoder_comes_from_a_plain_model_and_goes_to_one() -> None:
    coded = {"attention": "full", "bottleneck_length": 4, "decoder_layers": 1}
    assert drawn({}, coded) == ["Bottleneck", "Block", "FinalNorm"]
    assert drawn(coded, {}) == []


def read_all(before: Any, model: Any) -> dict[str, torch.Tensor]:
    """Every weight of a model that begins with another one."""
    share, old = transferred(before, model), build(before, seed=1).layers.state_dict()
    read = first_weights(share, stages(model, seed=2), lambda place: old.__getitem__)
    return {name: read(int(name.split(".")[0]))(name) for name in share.shapes}


def test_what_is_drawn_is_what_a_run_without_a_start_draws() -> None:
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
