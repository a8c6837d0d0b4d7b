from __future__ import annotations

import math

import torch

from dslm.model.positions import rotary, rotate, sinusoidal

CPU = torch.device("cpu")


def test_waves_follow_the_formula() -> None:
    waves = sinusoidal(20, 8, CPU)
    for position in (0, 1, 19):
        for pair in range(4):
            angle = position / 10000 ** (2 * pair / 8)
            assert math.isclose(waves[position, 2 * pair], math.sin(angle), abs_tol=1e-6)
            assert math.isclose(waves[position, 2 * pair + 1], math.cos(angle), abs_tol=1e-6)


def test_a_rotation_keeps_lengths_and_leaves_the_first_place_alone() -> None:
    heads = torch.randn(2, 3, 10, 8, generator=torch.Generator().manual_seed(0))
    turned = rotate(heads, *rotary(10, 8, 10000.0, CPU))
    assert torch.allclose(turned.norm(dim=-1), heads.norm(dim=-1), rtol=1e-5)
    assert torch.equal(turned[:, :, 0], heads[:, :, 0])


def test_the_product_of_two_turned_vectors_knows_only_their_distance() -> None:
    draw = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 8, generator=draw)
    tables = rotary(64, 8, 10000.0, CPU)
    queries = rotate(query.expand(1, 1, 64, 8), *tables)[0, 0]
    keys = rotate(key.expand(1, 1, 64, 8), *tables)[0, 0]
    products = queries @ keys.T
    for distance in (0, 3, 20):
        diagonal = products.diagonal(-distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5)


def test_tables_are_exact_in_whatever_type_the_heads_are() -> None:
    heads = torch.ones(1, 1, 2000, 8, dtype=torch.bfloat16)
    turned = rotate(heads, *rotary(2000, 8, 10000.0, CPU))
    assert turned.dtype == torch.bfloat16
    exact = math.cos(1999) - math.sin(1999)
    assert math.isclose(float(turned[0, 0, 1999, 0]), exact, abs_tol=0.01)
