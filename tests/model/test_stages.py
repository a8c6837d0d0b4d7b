from __future__ import annotations

import pytest
import torch
from helpers.models import KINDS, RECURRENT, build, small

from dslm.model.stages import layer_seed, stages


@pytest.mark.parametrize("kind", [*KINDS, *RECURRENT])
def test_weights_do_not_depend_on_the_order_of_building(kind: str) -> None:
    recipes = stages(small(**(KINDS | RECURRENT)[kind]), seed=5)
    forwards = [stage.build().state_dict() for stage in recipes]
    torch.manual_seed(1)
    backwards = [stage.build().state_dict() for stage in reversed(recipes)][::-1]
    for first, second in zip(forwards, backwards, strict=True):
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_building_leaves_the_generator_of_others_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    build(small())
    assert torch.equal(torch.rand(4), expected)


def test_every_layer_and_every_seed_draws_weights_of_its_own() -> None:
    first, second = (build(small(), seed).state_dict() for seed in (0, 1))
    matrices = [
        weight.flatten()[:100]
        for weights in (first, second)
        for name, weight in weights.items()
        if weight.dim() == 2
    ]
    overlaps = torch.corrcoef(torch.stack(matrices)).fill_diagonal_(0)
    assert overlaps.abs().max() < 0.5  # equal draws would give 1, strangers 0.1


def test_residual_outputs_start_smaller_by_the_root_of_twice_the_layers() -> None:
    config = small(width=256, layers=8)
    weights = build(config).state_dict()
    assert weights["layers.2.attention.project.weight"].std() == pytest.approx(0.02, rel=0.02)
    for name in ("attention.output", "feed_forward.leave"):
        deviation = weights[f"layers.2.{name}.weight"].std()
        assert deviation == pytest.approx(0.02 / 4, rel=0.02)


def test_the_tied_head_is_the_embedding_at_its_first_place() -> None:
    tied, untied = build(small(tied=True)), build(small(tied=False))
    assert list(tied.layers) == ["0", "1", "2", "3", "4"]
    assert list(untied.layers) == ["0", "1", "2", "3", "4", "5"]
    assert not any("unembedding" in name for name in tied.state_dict())


def test_only_a_pre_norm_model_ends_with_a_norm() -> None:
    names = [
        [stage.module.__name__ for stage in stages(small(norm_position=position), 0)]
        for position in ("pre", "post")
    ]
    assert "FinalNorm" in names[0]
    assert "FinalNorm" not in names[1]
    assert len(names[0]) == len(names[1]) + 1


def test_seeds_of_places_are_unrelated_and_fit_the_generator() -> None:
    seeds = {layer_seed(seed, *index) for seed in range(20) for index in ((1,), (1, 1), (11,))}
    assert len(seeds) == 60
    assert all(0 <= seed < 2**63 for seed in seeds)
