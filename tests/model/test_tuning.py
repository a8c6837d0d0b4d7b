"""Layers that stay as they are, and rates that fall from block to block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.models import small
from torch import Tensor

from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.model.lora import LoraConfig
from dslm.model.low_rank import merged, merged_numbers
from dslm.model.stages import Stage, stages
from dslm.model.transformer import Transformer
from dslm.model.tuning import Tuning, check_tuning
from dslm.parallel.optimizers import as_many, parameter_groups
from dslm.parallel.partition import blocks_of_stages, check_learning, parts
from dslm.parallel.zero import weights_of

SHAPES: dict[str, dict[str, Any]] = {
    "tied": {"tied": True},
    "untied": {"tied": False, "positions": "rotary", "norm": "rms", "bias": False},
    "task": {"classes": 3, "pooler": True, "attention": "full"},
    "encoder-decoder": {"encoder_layers": 2},
}
DEEPSPEED = {"optimizer": {"type": "AdamW", "params": {"lr": 0.01, "weight_decay": 0.1}}}
FROZEN = ["embeddings", "blocks.0", "embeddings, blocks.1-3", "blocks", "embeddings,blocks"]


def shape(kind: str, **more: Any) -> ModelConfig:
    return small(**{"layers": 4, **SHAPES[kind], **more})


def built(config: ModelConfig, tuning: Tuning) -> Transformer:
    return Transformer(stages(config, 0, tuning=tuning))


def learned(model: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("kind", SHAPES)
def test_what_learns_is_counted(kind: str, frozen: str) -> None:
    config, tuning = shape(kind), Tuning(frozen)
    assert not list(check_tuning(tuning, config))
    assert tuning.learned(config) == learned(built(config, tuning))


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("kind", SHAPES)
def test_what_learns_of_a_pipeline_stage_is_counted(kind: str, frozen: str) -> None:
    config, tuning = shape(kind), Tuning(frozen)
    pieces = halves(config, tuning)
    found = [sum(learned(layer) for layer in unique(piece).values()) for piece in pieces]
    assert [part.learned for part in parts(config, 2, tuning)] == found


@pytest.mark.parametrize("decay", [1.0, 0.5])
@pytest.mark.parametrize("frozen", [*FROZEN, None, "blocks.0-2", "embeddings,blocks.2"])
@pytest.mark.parametrize("kind", SHAPES)
def test_both_stages_of_a_pipeline_learn_in_as_many_groups_or_it_is_refused(
    kind: str, frozen: str | None, decay: float
) -> None:
    config, tuning = shape(kind), Tuning(frozen, decay)
    if check_learning(config, 2, tuning):
        assert tuning.words
        return
    layers = stages(config, 0, tuning=tuning)
    groups = []
    for piece in halves(config, tuning):
        weights = {
            f"{index}.{name}": weight
            for index, module in unique(piece).items()
            for name, weight in module.named_parameters()
        }
        groups.append(parameter_groups(weights, layers, DEEPSPEED))
    assert all(groups)
    most = max(map(len, groups))
    assert {len(as_many(each, most)) for each in groups} == {most}


def test_adapters_that_leave_a_stage_of_a_pipeline_nothing_to_learn_are_refused() -> None:
    config = shape("encoder-decoder", layers=2)
    few = Tuning(lora=LoraConfig(rank=2, targets="cross_attention.ask"))
    assert [part.learned > 0 for part in parts(config, 2, few)] == [False, True]
    (problem,) = check_learning(config, 2, few)
    assert (problem.where, problem.found) == ("lora.targets", "cross_attention.ask")
    assert problem.rule == "leaves stage 0 of the pipeline nothing to learn"
    assert not check_learning(config, 1, few)
    assert not check_learning(config, 2, Tuning(lora=LoraConfig(rank=2)))


def halves(config: ModelConfig, tuning: Tuning) -> tuple[list[Stage], list[Stage]]:
    """The layers of two pipeline stages."""
    layers = stages(config, 0, tuning=tuning)
    blocks = [stage.index for stage in layers if "Block" in stage.module.__name__]
    second = blocks[blocks_of_stages(config.blocks, 2)[0]]
    return layers[:second], layers[second:]


def unique(piece: list[Stage]) -> dict[int, torch.nn.Module]:
    """The modules of some stages by their index, a tied one once."""
    own = {stage.tied or stage.index: stage for stage in reversed(piece)}.values()
    return {stage.index: stage.build(drawn=False) for stage in own}


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        ("blocks.4", "is not among the blocks of the model, 0 to 3"),
        ("blocks.2-1", "is not among"),
        ("layers.1", "is no name of layers"),
        (",", "names nothing"),
    ],
)
def test_a_name_of_no_layer_is_a_mistake(word: str, rule: str) -> None:
    (problem,) = check_tuning(Tuning(word), shape("tied"))
    assert rule in problem.rule


def test_rates_fall_from_block_to_block() -> None:
    config = shape("untied")
    layers = stages(config, 0, tuning=Tuning(layer_rate_decay=0.5))
    groups = groups_of(config, Tuning(layer_rate_decay=0.5), weight_decay=0.0)
    rates = {name.split(".")[0]: group.get("lr", 0.01) for name, group in groups.items()}
    kinds = [stage.module.__name__ for stage in layers if str(stage.index) in rates]
    assert kinds == ["TokenEmbedding", *["Block"] * 4, "FinalNorm", "Head"]
    halves = [0.5**4, 0.5**3, 0.5**2, 0.5, 1, 1, 1]
    assert [*rates.values()] == pytest.approx([0.01 * half for half in halves])


def groups_of(config: ModelConfig, tuning: Tuning, **params: float) -> dict[str, Any]:
    """The group of each weight that learns, by its name, in the order of the layers."""
    deepspeed = {"optimizer": {"type": "AdamW", "params": {"lr": 0.01, **params}}}
    weights = weights_of(built(config, tuning))
    groups = parameter_groups(weights, stages(config, 0, tuning=tuning), deepspeed)
    names = {weight: name for name, weight in weights.items()}
    found = {names[weight]: group for group in groups for weight in group["params"]}
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[0])))


def test_vectors_of_layers_that_learn_do_not_decay() -> None:
    config, tuning = shape("task"), Tuning("embeddings,blocks.0-1", 0.5)
    found = groups_of(config, tuning, weight_decay=0.1)
    weights = weights_of(built(config, tuning))
    assert found.keys() == {name for name, weight in weights.items() if weight.requires_grad}
    for name, group in found.items():
        assert group["weight_decay"] == (0.1 if weights[name].dim() > 1 else 0.0)


def test_groups_are_divided_until_there_are_enough() -> None:
    weights = [torch.nn.Parameter(torch.zeros(n)) for n in range(5)]
    groups = as_many([{"params": weights[:4], "lr": 1.0}, {"params": weights[4:], "lr": 2.0}], 4)
    assert len(groups) == 4
    found = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    assert found == {id(weight): 2.0 if weight is weights[4] else 1.0 for weight in weights}


@pytest.mark.parametrize("recompute", [False, True, "selective"])
def test_what_is_behind_frozen_layers_learns(recompute: Any) -> None:
    config = shape("tied", recompute=recompute)
    ids = torch.arange(8)[None]

    def gradients(tuning: Tuning) -> dict[str, Tensor | None]:
        model = built(config, tuning).train()
        model(ids).float().square().sum().backward()
        return {name: weight.grad for name, weight in model.named_parameters()}

    every, some = gradients(Tuning()), gradients(Tuning("embeddings,blocks.0-1"))
    for name, gradient in some.items():
        assert (gradient is None) == (int(name.split(".")[1]) < 4)
        if gradient is not None:
            right = every[name]
            assert right is not None
            assert torch.allclose(gradient, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize("targets", ["attention", "all", "feed_forward.leave, attention.project"])
@pytest.mark.parametrize("kind", SHAPES)
def test_adapters_are_counted(kind: str, targets: str) -> None:
    config, tuning = shape(kind), Tuning(lora=LoraConfig(rank=3, targets=targets))
    assert not list(check_tuning(tuning, config))
    model = built(config, tuning)
    assert tuning.learned(config) == learned(model)
    assert tuning.total(config) == sum(weight.numel() for weight in model.parameters())
    (part,) = parts(config, 1, tuning)
    assert (part.weights, part.learned) == (tuning.total(config), tuning.learned(config))
    found = parts(config, 2, tuning)
    twice = sum(part.weights for part in parts(config, 2)) - parameter_count(config)
    assert sum(part.weights for part in found) == tuning.total(config) + twice
    assert sum(part.learned for part in found) == tuning.learned(config)


def test_adapters_and_the_head_of_a_task_are_all_that_learns() -> None:
    model = built(shape("task"), Tuning(lora=LoraConfig(rank=2)))
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert {name for name in names if ".lora." not in name} == {
        f"layers.7.{name}.{kind}" for name in ("pooler", "classes") for kind in ("weight", "bias")
    }
    assert "layers.2.attention.project.lora.a" in names


@pytest.mark.parametrize(
    ("config", "rule"),
    [
        (LoraConfig(rank=2, targets="query"), "names no map"),
        (LoraConfig(rank=2, targets=" "), "names no map"),
        (LoraConfig(alpha=3.0), "means nothing without a rank"),
    ],
)
def test_mistakes_of_adapters(config: LoraConfig, rule: str) -> None:
    (problem,) = check_tuning(Tuning(lora=config), shape("tied"))
    assert problem.rule == rule


def test_adapters_change_nothing_at_first_and_then_what_merging_says() -> None:
    config, lora = shape("untied", vocabulary=40), LoraConfig(rank=3, alpha=7.0, targets="all")
    plain, adapted = built(config, Tuning()), built(config, Tuning(lora=lora)).eval()
    ids = torch.arange(16).view(2, 8)
    before = dict(plain.layers.named_parameters())
    for name, weight in adapted.layers.named_parameters():
        assert ".lora." in name or torch.equal(weight, before[name])
    assert torch.equal(adapted(ids), plain.eval()(ids))
    for name, weight in adapted.named_parameters():
        if name.endswith(".lora.b"):
            torch.nn.init.normal_(weight.data)
    weights = merged(dict(adapted.layers.named_parameters()), lora)
    plain.layers.load_state_dict(weights)
    assert torch.allclose(plain(ids), adapted(ids), rtol=0, atol=1e-5)


def test_any_part_of_a_merged_weight_can_be_had_alone() -> None:
    config, lora = shape("untied"), LoraConfig(rank=3, targets="feed_forward")
    weights = {
        name: torch.randn(weight.shape)
        for name, weight in built(config, Tuning(lora=lora)).layers.named_parameters()
    }
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}

    def read(name: str, start: int, stop: int) -> Tensor:
        return weights[name].flatten()[start:stop]

    numbers = merged_numbers(read, shapes, lora, {*lora.maps(config)})
    for name, weight in merged(weights, lora).items():
        for start, stop in ((0, weight.numel()), (weight.numel() // 3, weight.numel() // 2)):
            found = numbers(name, start, stop)
            assert torch.allclose(found, weight.flatten()[start:stop], rtol=0, atol=1e-5)
