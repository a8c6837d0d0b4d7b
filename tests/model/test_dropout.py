"""What dropout drops is computed: by row, layer, site and place, whatever else is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import torch
from helpers.models import KEYS, KINDS, RECURRENT, TOKENS, build, rows_of_every_kind, small
from torch import Tensor

from dslm.model.dropout import DROPOUT_KEYS, Dropout, Site, kept, layer_keys
from dslm.model.visibility import attend, block_mask, flexible, sees, visible
from dslm.sampling.stateless_random import RandomStream, sample_bits

DRAW = torch.Generator().manual_seed(7)
RATE = 0.1


def keys(seed: int, *samples: int) -> Tensor:
    """The keys of the rows of some samples, as training makes them."""
    import numpy as np

    bits = sample_bits(seed, np.array(samples), RandomStream.DROPOUT)
    return torch.from_numpy(bits.view(np.int64))


def hidden_mask(row_keys: Tensor, layer: int, site: Site, rate: float = RATE) -> Tensor:
    """Which of [B, 128, 64] ones are dropped."""
    site_of = Dropout(rate, site).train()
    return site_of(torch.ones(len(row_keys), 128, 64), layer_keys(row_keys, layer)) == 0


def heads_mask(row_keys: Tensor, layer: int, rate: float = RATE) -> Tensor:
    """Which of the attention weights [B, 4, 64, 64] are dropped."""
    dropped = (
        Dropout(rate, Site.ATTENTION)
        .train()
        .of_heads(torch.empty(len(row_keys), 4, 64, 8), layer_keys(row_keys, layer), None)
    )
    assert dropped is not None
    return dropped.apply(torch.ones(len(row_keys), 4, 64, 64)) == 0


def every_mask() -> dict[Any, Tensor]:
    """Masks that differ in seed, sample, layer, site and head."""
    found: dict[Any, Tensor] = {}
    for seed in (0, 1):
        rows = keys(seed, 0, 1, 2, 2**40)
        for layer in (5, 6):
            for site in (Site.EMBEDDING, Site.MIXED, Site.FEED_FORWARD):
                for sample, mask in enumerate(hidden_mask(rows, layer, site)):
                    found[seed, layer, site, sample] = mask.flatten()[:4096]
            for sample, heads in enumerate(heads_mask(rows, layer)):
                for head, mask in enumerate(heads):
                    found[seed, layer, Site.ATTENTION, sample, head] = mask.flatten()
    return found


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_is_the_rate(rate: float) -> None:
    rows = keys(0, *range(64))
    for mask in (hidden_mask(rows, 1, Site.MIXED, rate), heads_mask(rows, 1, rate)):
        error = math.sqrt(rate * (1 - rate) / mask.numel())
        assert abs(float(mask.double().mean()) - rate) < 4 * error
        for axis in range(mask.dim()):  # no row, place or feature is dropped more than others
            others = [other for other in range(mask.dim()) if other != axis]
            shares = mask.double().mean(others)
            spread = math.sqrt(rate * (1 - rate) / (mask.numel() / len(shares)))
            assert (shares - rate).abs().max() < 5 * spread


def test_masks_of_other_seeds_samples_layers_sites_and_heads_are_strangers() -> None:
    masks = torch.stack(list(every_mask().values())).double()
    strange = torch.corrcoef(masks).fill_diagonal_(0)
    # 4,096 places: a correlation has a deviation of 1/64, and 5.5 of these are not met by chance.
    assert len(masks) == 2 * 2 * 4 * (3 + 4)
    assert strange.abs().max() < 5.5 / 64


def test_neighbours_are_strangers() -> None:
    mask = hidden_mask(keys(0, *range(32)), 3, Site.MIXED).double() - RATE
    size = mask.numel()
    for shift, axis in ((1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (8, 2), (32, 2), (64, 1)):
        together = mask * mask.roll(shift, axis)
        assert abs(float(together.mean())) < 5 * RATE * (1 - RATE) / math.sqrt(size)


def test_pairs_of_places_are_dropped_together_as_often_as_chance_says() -> None:
    mask = hidden_mask(keys(0, *range(512)), 3, Site.MIXED)[:, :8, :16].flatten(1).double()
    strange = torch.corrcoef(mask.T).fill_diagonal_(0)
    assert strange.abs().max() < 5.5 / math.sqrt(512)


def test_the_mean_of_what_is_left_is_that_of_what_was() -> None:
    values = torch.rand(64, 128, 64, generator=DRAW)
    site = Dropout(RATE, Site.MIXED).train()
    left = site(values, layer_keys(keys(0, *range(64)), 1))
    assert float(left.mean()) == pytest.approx(float(values.mean()), rel=2e-3)
    stays = left != 0
    assert torch.allclose(left[stays], values[stays] / (1 - RATE))


def split_mix(bits: int) -> int:
    """The last step of SplitMix64, in Python's unbounded integers."""
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % 2**64
    return bits ^ (bits >> 31)


def drops(key: int, layer: int, site: int, place: int, column: int, rate: float) -> bool:
    """Whether a value is dropped: the same rule without a sign, an overflow or a tensor."""
    key = split_mix((key + layer) % 2**64)
    key = split_mix((key + (place + site * 2**56) * 0x9E3779B97F4A7C15) % 2**64)
    bits = (key + column * 0x9E3779B1) % 2**32
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D % 2**32 ^ (key >> 32)
    bits = (bits ^ (bits >> 15)) * 0x846CA68B % 2**32
    return bits >> 1 < round(rate * 2**31)


def test_the_masks_are_those_of_unsigned_arithmetic() -> None:
    rows = keys(0, 0, 1, 2**40)
    hidden, heads = hidden_mask(rows, 77, Site.FEED_FORWARD), heads_mask(rows, 77)
    for row, key in enumerate(rows.tolist()):
        for place in (0, 1, 63):
            known = [drops(key, 77, 3, place, column, RATE) for column in range(64)]
            assert hidden[row, place].tolist() == known
            known = [drops(key, 77, 1, 2 * 2**32 + place, column, RATE) for column in range(64)]
            assert heads[row, 2, place].tolist() == known


def test_a_compiler_may_compute_the_masks_in_wider_integers() -> None:
    """That of torch does so within FlexAttention."""
    low, high = torch.randint(-(2**31), 2**31, (2, 4096, 1), generator=DRAW).to(torch.int32)
    columns = torch.arange(64, dtype=torch.int32)
    wide = kept(low.long(), high.long(), columns.long(), RATE)
    assert torch.equal(kept(low, high, columns, RATE), wide)


def cuts() -> Iterator[list[int]]:
    yield [2, 2]
    yield [1, 3]
    yield [1, 1, 1, 1]


def test_a_compiler_drops_the_same_whatever_the_shape() -> None:
    """Though its loops count the places, and end where a multiple of their counter overflows."""
    shapes = [(2, 31, 33), (1, 31, 33), (3, 7, 130)]
    rows, site = keys(3, 0, 1, 2), Dropout(RATE, Site.ATTENTION).train()

    def masked(*ones: Tensor) -> list[Tensor]:
        found = []
        for values in ones:
            row_keys = layer_keys(rows[: len(values)], 5)
            heads = site.of_heads(values[:, None].expand(-1, 2, -1, -1), row_keys, None, 3)
            assert heads is not None
            across = heads.low.new_ones((*heads.low.shape, values.shape[1])).float()
            found += [site(values, row_keys), heads.apply(across)]
        return found

    values = [torch.ones(shape) for shape in shapes]
    compiled = torch.compile(masked, fullgraph=True, dynamic=False)
    for one, other in zip(masked(*values), compiled(*values), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", [*KINDS, *RECURRENT])
def test_a_row_loses_the_same_in_every_micro_batch(kind: str) -> None:
    model = build(small(**(KINDS | RECURRENT)[kind], dropout=0.3), extras=(DROPOUT_KEYS,))
    tokens, rows = torch.randint(50, (4, 16), generator=DRAW), keys(0, 5, 6, 7, 8)
    whole = model((tokens, rows))
    for parts in cuts():
        cut = zip(tokens.split(parts), rows.split(parts), strict=True)
        assert torch.allclose(torch.cat([model(part) for part in cut]), whole, atol=1e-6)
    assert not torch.allclose(model((tokens, rows.flip(0))), whole, atol=1e-2)


@pytest.mark.parametrize("kind", [*KINDS, *RECURRENT])
def test_nothing_is_dropped_outside_of_training(kind: str) -> None:
    config = small(**(KINDS | RECURRENT)[kind], dropout=0.5)
    model = build(config, extras=(DROPOUT_KEYS,))
    assert not torch.equal(model((TOKENS, KEYS)), model((TOKENS, KEYS + 1)))
    model.eval()
    assert torch.equal(model((TOKENS, KEYS)), build(config).eval()(TOKENS))


def test_training_without_keys_is_refused_rather_than_left_without_dropout() -> None:
    with pytest.raises(AssertionError, match="needs a key for each row"):
        build(small(dropout=0.5))(TOKENS)


def test_the_positions_selected_lose_what_they_lose_among_all() -> None:
    model = build(small(dropout=0.3), extras=("selected", DROPOUT_KEYS))
    every = torch.arange(16).expand(2, 16)
    whole = model((TOKENS, every, KEYS))
    some = torch.tensor([[3, 0, 15], [9, 9, 2]])
    found = model((TOKENS, some, KEYS))
    assert torch.allclose(found, whole.take_along_dim(some[..., None], 1), atol=1e-6)
    assert torch.allclose(whole, build(small(dropout=0.3), extras=(DROPOUT_KEYS,))((TOKENS, KEYS)))


class Rows:
    """Queries, keys and values of rows, and what is dropped of their weights."""

    def __init__(self, groups: int, rate: float = 0.3) -> None:
        shapes = [(6, 4, 16, 8), (6, groups, 16, 8), (6, groups, 16, 8)]
        self.vectors = [
            torch.randn(shape, generator=DRAW, dtype=torch.float64).requires_grad_()
            for shape in shapes
        ]
        site = Dropout(rate, Site.ATTENTION).train()
        self.dropped = site.of_heads(self.vectors[0], keys(0, *range(6)), None)
        assert self.dropped is not None

    def reference(self, mask: Tensor) -> Tensor:
        """Attention as it is written in the paper, with the weights that are dropped left out."""
        assert self.dropped is not None
        queries, *others = self.vectors
        keys, values = (one.repeat_interleave(4 // one.shape[1], dim=1) for one in others)
        scores = torch.einsum("bhse,bhte->bhst", queries, keys) / math.sqrt(8)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        low, high, rate = self.dropped
        stays = kept(low[..., None], high[..., None], torch.arange(16, dtype=torch.int32), rate)
        assert 0.2 < float((~stays).double().mean()) < 0.4
        return torch.einsum("bhst,bhte->bhse", weights * stays / (1 - rate), values)


@pytest.mark.parametrize("groups", [4, 2, 1])
def test_attention_drops_weights_after_they_were_made_to_sum_to_one(groups: int) -> None:
    rows = Rows(groups)
    wanted = rows.reference(sees(rows_of_every_kind()))
    visibility = visible(rows_of_every_kind(), 8)
    found = attend(*rows.vectors, visibility, None, causal=True, dropped=rows.dropped)
    assert (found - wanted).abs().max() <= 1e-6  # its softmax is in float32
    outside = torch.randn(wanted.shape, generator=DRAW, dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad(found, rows.vectors, outside),
        torch.autograd.grad(wanted, rows.vectors, outside),
        strict=True,
    ):
        assert (ours - theirs).abs().max() <= 1e-5


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_flex_attention_drops_the_same(groups: int) -> None:
    """Its gradients are for GPUs only."""
    rows = Rows(groups)
    for vectors in rows.vectors:
        vectors.requires_grad_(False)
    mask = block_mask(rows_of_every_kind(), dropped=True)
    wanted = rows.reference(sees(rows_of_every_kind()))
    assert (flexible(*rows.vectors, mask, rows.dropped) - wanted).abs().max() <= 1e-6
    # A token that sees itself alone is left with nothing where that is dropped.
    assert (wanted == 0).all(-1).any()


@pytest.mark.parametrize("causal", [True, False])
def test_without_documents_attention_drops_the_same(causal: bool) -> None:
    rows = Rows(2)
    mask = torch.ones(16, 16, dtype=torch.bool)
    wanted = rows.reference(mask.tril() if causal else mask)
    found = attend(*rows.vectors, None, None, causal=causal, dropped=rows.dropped)
    assert (found - wanted).abs().max() <= 1e-6


def test_two_rates_drop_one_within_the_other() -> None:
    rows = keys(0, 0, 1)
    masks = [hidden_mask(rows, 1, Site.MIXED, rate) for rate in (0.1, 0.2, 0.5)]
    assert all((wide | ~narrow).all() for narrow, wide in combinations(masks, 2))
