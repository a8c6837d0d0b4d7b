"""Which layers of a model round, and that nothing else about it changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dslm.model.config import ModelConfig
from dslm.model.layers import Linear
from dslm.model.quantize import quantize, ready_for_use, rounding
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.quantization.config import SCHEMES, QuantizationConfig
from dslm.quantization.integer import IntegerLinear
from dslm.quantization.rounding import Quantizer, rounded

IDS = torch.arange(16)[None] % 50


def built(**shape: Any) -> Transformer:
    config = ModelConfig(layers=2, heads=2, width=32, sequence=16, vocabulary=50, **shape)
    return Transformer(stages(config, 0)).eval()


@pytest.mark.parametrize(
    ("layers", "shape", "count"),
    [
        ("blocks", {}, 8),
        ("blocks", {"tied": False}, 8),
        ("linear", {}, 8),
        ("linear", {"tied": False}, 9),
        ("all", {}, 10),
        ("all", {"tied": False}, 11),
    ],
)
def test_the_chosen_layers_round(layers: Any, shape: dict[str, Any], count: int) -> None:
    model = built(**shape)
    names = list(model.state_dict())
    before = model(IDS)
    quantizer = quantize(model, QuantizationConfig(scheme="w4", layers=layers))
    assert quantizer is not None
    assert len(rounding(model)) == count
    assert list(model.state_dict()) == names
    assert (model(IDS) - before).abs().max() > 1e-4
    quantizer.on = False
    assert torch.equal(model(IDS), before), "float again, to the last bit"


@pytest.mark.parametrize("layers", ["blocks", "linear", "all"])
@pytest.mark.parametrize("scheme", ["w4", "w3", "w2"])
def test_rounding_the_weights_beforehand_is_the_same(scheme: Any, layers: Any) -> None:
    model, plain = built(tied=False), built(tied=False)
    config = QuantizationConfig(scheme=scheme, layers=layers)
    quantize(model, config)
    assert config.selected is not None
    with torch.no_grad():
        for name in rounding(model):
            weight = plain.get_parameter(f"{name}.weight")
            weight.copy_(rounded(weight, config.selected.weights, 32, storable=True))
    assert torch.equal(model(IDS), plain(IDS))


def test_without_a_scheme_nothing_rounds() -> None:
    model = built()
    assert quantize(model, QuantizationConfig()) is None
    assert not rounding(model)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("layers", ["blocks", "linear", "all"])
@pytest.mark.parametrize("scheme", [*SCHEMES])
def test_a_model_ready_for_use_computes_the_same(
    scheme: Any, layers: Any, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: fast)
    rounds, ready = built(tied=False), built(tied=False)
    for model in (rounds, ready):
        draws = torch.Generator().manual_seed(1)
        for weight in model.parameters():
            weight.data += 0.1 * torch.randn(weight.shape, generator=draws)
        quantize(model, QuantizationConfig(scheme=scheme, layers=layers))
    ready_for_use(ready)
    whole = [module for module in ready.modules() if isinstance(module, IntegerLinear)]
    assert len(whole) == (fast and scheme == "w8a8") * (8 if layers == "blocks" else 9)
    # A last digit that differs in the sum of one layer may be a level in the next one's inputs.
    near = 0.02 if scheme == "w8a8" else 1e-5
    torch.testing.assert_close(ready(IDS), rounds(IDS), rtol=near, atol=near)


def test_whole_numbers_give_the_products_of_rounded_ones() -> None:
    layer = Linear(96, 40, True, 0.02)
    layer.quantizer = Quantizer(SCHEMES["w8a8"])
    with torch.no_grad():
        layer.bias.normal_()
    inputs = torch.randn(3, 7, 96, generator=torch.Generator().manual_seed(0))
    found = IntegerLinear(*layer.quantizer.grid(layer.weight), layer.bias)(inputs)
    torch.testing.assert_close(found, layer(inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 32), (1, 32), (2, 0, 32), (3, 5, 32)])
def test_whole_numbers_are_multiplied_for_any_number_of_tokens(shape: tuple[int, ...]) -> None:
    weight = torch.randn(48, 32, generator=torch.Generator().manual_seed(0))
    whole = IntegerLinear(*Quantizer(SCHEMES["w8a8"]).grid(weight), None)
    assert whole(torch.ones(shape)).shape == (*shape[:-1], 48)
