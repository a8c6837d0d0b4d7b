"""Which layers of a model round, and that nothing else about it changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dslm.model.config import ModelConfig
from dslm.model.quantize import quantize, rounding
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.quantization.config import QuantizationConfig
from dslm.quantization.rounding import rounded

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
