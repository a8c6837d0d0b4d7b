"""Which token sees which, in one number a token, and attention as far as each sees.

The numbers [B, S] name the document each token of a row is of: equal numbers, but for the sign,
see each other and no others, so that one row can hold several documents and, under 0, padding. The
sign says from where: a token with a negative number is seen by its whole document, one with a
positive number by itself and those after it. So -1 everywhere is full attention, 1 everywhere
causal, and -1 … -1 1 … 1 a prefix that is seen whole and a causal rest (Raffel et al. 2020, section
3.2.1). Numbers travel between pipeline stages at S a row, where a mask would be S²; every stage
makes its mask of them once, which all of its blocks take, and take again when they recompute.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from dslm.model.dropout import Dropped, kept

NARROWEST = 16
"""Width of a head from which FlexAttention computes it."""


class Visibility(NamedTuple):
    """The numbers of some rows, and what blocks need to be made of them."""

    numbers: Tensor
    """[B, S]."""
    mask: Any = None
    """`sees` of the numbers or, where FlexAttention takes it, `block_mask`."""


def visible(
    numbers: Tensor, head_width: int, masked: bool = True, dropped: bool = False
) -> Visibility:
    """Make what the blocks of a model need of numbers [B, S].

    Args:
        numbers: [B, S].
        head_width: width of a head (E).
        masked: whether any block lets all positions attend.
        dropped: whether attention weights are dropped.
    """
    if not masked:
        return Visibility(numbers)
    if numbers.is_cuda and head_width >= NARROWEST:
        return Visibility(numbers, block_mask(numbers, dropped, _compiled()[1]))
    return Visibility(numbers, sees(numbers))


def following(places: Tensor, total: int) -> Visibility:
    """What tokens at some places [B, S] see of texts of different lengths, `total` at most."""
    others = torch.arange(total, device=places.device)
    return Visibility(places, (others <= places[:, :, None])[:, None])


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    visibility: Visibility | None,
    selected: Tensor | None,
    causal: bool,
    dropped: Dropped | None = None,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Scaled dot-product attention as far as each token sees.

    Args:
        queries: [B, H, S, E].
        keys: [B, K, T, E]; K divides H, and T - S earlier tokens may come before the S.
        values: [B, K, T, E].
        visibility: who sees whom, or `None` where `causal` says all.
        selected: [B, M], the positions whose queries are wanted; all of them without it.
        causal: without `visibility`, whether a token sees only those up to itself.
        dropped: what is dropped of the attention weights.
        bias: [B, H, S, T] or the same for all rows, [1, H, S, T]; added to the scores.
        scale: what scores are multiplied by; `None` = 1 / √E.

    Returns:
        [B, H, M, E].
    """
    plain = bias is None and scale is None
    on_gpu = plain and queries.is_cuda and queries.shape[-1] >= NARROWEST
    if visibility is not None and isinstance(visibility.mask, Tensor):
        on_gpu = False  # of texts that are being written
    if on_gpu and selected is None and (visibility is not None or dropped is not None):
        mask = visibility.mask if visibility else None
        if visibility is None and causal:
            mask = _causal_blocks(queries.shape[2], queries.device)
        return flexible(queries, keys, values, mask, dropped, _compiled()[0])
    new, total = queries.shape[2], keys.shape[2]
    # A single new token sees all that came before it: nothing is left to be masked.
    causal = causal and total > 1 and (new > 1 or selected is not None or dropped is not None)
    mask = None
    if visibility is not None:
        made = selected is None and isinstance(visibility.mask, Tensor)
        mask = visibility.mask if made else sees(visibility.numbers, selected)
    elif causal and (total > new or any(one is not None for one in (selected, dropped, bias))):
        mask = torch.ones(new, total, dtype=torch.bool, device=keys.device).tril(total - new)
        if selected is not None:
            mask = mask[selected][:, None]
    if selected is not None:
        queries = _rows_at(queries, selected)
        bias = None if bias is None else _rows_at(bias.expand(len(queries), -1, -1, -1), selected)
    causal = causal and mask is None
    return masked(queries, keys, values, mask, dropped, bias=bias, scale=scale, causal=causal)


def _rows_at(heads: Tensor, selected: Tensor) -> Tensor:
    """What [B, H, S, n] has at some positions [B, M]: [B, H, M, n].

    As `take_along_dim`, of which a compiler would make a graph for each S.
    """
    shape = heads.shape[0], heads.shape[1], selected.shape[1], heads.shape[3]
    return heads.gather(2, selected[:, None, :, None].expand(shape))


def masked(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    dropped: Dropped | None,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    causal: bool = False,
) -> Tensor:
    """Attention [B, H, S, E] where a boolean mask allows it; the other arguments as in `attend`."""
    scale = queries.shape[-1] ** -0.5 if scale is None else scale
    if dropped is not None:
        return _explicit(queries * scale, keys, values, mask, dropped, bias)
    added = mask
    if bias is not None:
        added = bias.to(queries.dtype)
        added = added if mask is None else added.masked_fill(~mask, -torch.inf)
    return F.scaled_dot_product_attention(
        queries,
        keys,
        values,
        attn_mask=added,
        is_causal=causal,
        scale=scale,
        enable_gqa=queries.shape[1] != keys.shape[1],
    )


def sees(numbers: Tensor, selected: Tensor | None = None) -> Tensor:
    """Whether token s sees token t, [B, 1, S, S] boolean, of numbers [B, S].

    With `selected` [B, M] the tokens s are those: [B, 1, M, S].
    """
    seen, documents = numbers[:, None, :], numbers.abs()
    others = torch.arange(numbers.shape[1], device=numbers.device)
    places = others[None] if selected is None else selected
    own = documents if selected is None else documents.gather(1, selected)
    before = others <= places[:, :, None]
    mask = (own[:, :, None] == documents[:, None, :]) & (before | (seen <= 0))
    return mask[:, None]


def _explicit(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    dropped: Dropped,
    bias: Tensor | None,
) -> Tensor:
    """Attention step by step, where weights are dropped that torch has no mask for."""
    times = queries.shape[1] // keys.shape[1]
    if times > 1:
        keys, values = (part.repeat_interleave(times, dim=1) for part in (keys, values))
    scores = queries @ keys.transpose(2, 3)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores + scores.new_zeros(mask.shape).masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
    return dropped.apply(weights) @ values


def flexible(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Any,
    dropped: Dropped | None,
    attention: Any = flex_attention,
) -> Tensor:
    """The same by FlexAttention (Dong et al. 2024), which skips whole blocks that no token sees.

    It can leave scores out, but not weights, of which those dropped still count in the sum that
    divides. So there every key stands twice: if it is kept, the first has its value and the second
    is left out; if it is dropped, the other way round, and the second one's value is zero.

    Args:
        queries: [B, H, S, E].
        keys: [B, K, S, E].
        values: [B, K, S, E].
        mask: of `block_mask`, for keys that stand twice if any are dropped; `None` for all.
        dropped: what is dropped of the attention weights.
        attention: FlexAttention, compiled or not.
    """
    grouped = queries.shape[1] != keys.shape[1]
    if dropped is None:
        plain: Tensor = attention(queries, keys, values, block_mask=mask, enable_gqa=grouped)
        return plain
    low, high, rate = dropped
    size = keys.shape[2]

    def rule(score: Tensor, row: Tensor, head: Tensor, token: Tensor, other: Tensor) -> Tensor:
        place = row, head, token
        stays = kept(low[place], high[place], (other % size).to(torch.int32), rate)
        return torch.where(stays == (other < size), score, -torch.inf)

    keys, values = torch.cat([keys, keys], 2), torch.cat([values, torch.zeros_like(values)], 2)
    mixed: Tensor = attention(queries, keys, values, rule, mask, enable_gqa=grouped)
    return mixed * (1 / (1 - rate))


def block_mask(numbers: Tensor, dropped: bool = False, create: Any = create_block_mask) -> Any:
    """`sees` in the form that FlexAttention takes: a rule, and the blocks where it is ever true.

    Args:
        numbers: [B, S].
        dropped: whether weights are dropped, hence every key stands twice: see `flexible`.
        create: `create_block_mask`, compiled or not.
    """
    documents = numbers.abs()
    rows, size = numbers.shape

    def rule(row: Tensor, _: Tensor, token: Tensor, other: Tensor) -> Tensor:
        other = other % size
        same = documents[row, token] == documents[row, other]
        return same & ((other <= token) | (numbers[row, other] <= 0))

    twice = 2 if dropped else 1
    return create(rule, rows, None, size, twice * size, device=numbers.device.type)


@lru_cache(maxsize=4)
def _causal_blocks(size: int, device: torch.device) -> Any:
    """The mask of a row in which each token sees those up to itself, for `flexible` dropout."""

    def rule(_: Tensor, __: Tensor, token: Tensor, other: Tensor) -> Tensor:
        return other % size <= token

    return create_block_mask(rule, None, None, size, 2 * size, device=device.type)


@lru_cache(maxsize=1)
def _compiled() -> tuple[Any, Any]:
    """Attention and the making of its blocks, compiled: 12 ms for these at each step otherwise."""
    return torch.compile(flex_attention), torch.compile(create_block_mask)
