"""Bytes that are promised are those that an export writes."""

from __future__ import annotations

import pytest
import torch

from dslm.hub.compressed import compressed
from dslm.quantization.config import Scheme
from dslm.quantization.rounding import Quantizer
from dslm.quantization.size import stored_bytes

SCHEMES = [Scheme(8, 8, None), Scheme(8, 8, 20), Scheme(4, 8, 20), Scheme(3, None, 5)]


@pytest.mark.parametrize("scheme", [*SCHEMES, Scheme(2, None, 100)])
@pytest.mark.parametrize("outputs", [1, 12])
def test_a_weight_takes_so_many_bytes(scheme: Scheme, outputs: int) -> None:
    weight = torch.randn(outputs, 100)
    steps, levels = Quantizer(scheme).grid(weight)
    maps = {"map": (steps.flatten(1), levels.flatten(1).to(torch.int8))}
    made = compressed({"map.weight": weight}, maps, scheme, "pack-quantized")
    made.pop("map.weight_shape", None)
    written = sum(tensor.numel() * tensor.element_size() for tensor in made.values())
    assert stored_bytes(scheme, *weight.shape) == written
