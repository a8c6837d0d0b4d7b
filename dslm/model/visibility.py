"""Which token sees which, in one number a token.

`visibility` [B, S] holds the document each token of a row is of: equal numbers, but for the sign,
see each other and no others, so that one row can hold several documents and, under 0, padding. The
sign says from where: a token with a negative number is seen by its whole document, one with a
positive number by itself and those after it. So -1 everywhere is full attention, 1 everywhere
causal, and -1 … -1 1 … 1 a prefix that is seen whole and a causal rest (Raffel et al. 2020, section
3.2.1). Numbers travel between pipeline stages at S a row, where a mask would be S².
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.utils.weak import WeakIdKeyDictionary

NARROWEST = 16
"""Width of a head from which FlexAttention computes it."""


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    visibility: Tensor | None,
    selected: Tensor | None,
    causal: bool,
    dropout: float,
) -> Tensor:
    """Scaled dot-product attention as far as each token sees.

    Args:
        queries: [B, H, S, E].
        keys: [B, K, T, E]; K divides H, and T - S earlier tokens may come before the S.
        values: [B, K, T, E].
        visibility: [B, S], or `None` where `causal` says all.
        selected: [B, M], the positions whose queries are wanted; all of them without it.
        causal: without `visibility`, whether a token sees only those up to itself.
        dropout: share of the attention weights that is dropped.

    Returns:
        [B, H, M, E].
    """
    grouped = queries.shape[1] != keys.shape[1]
    on_gpu = queries.is_cuda and queries.shape[-1] >= NARROWEST and not dropout
    if visibility is not None and selected is None and on_gpu:
        return _flexible(queries, keys, values, visibility, grouped)
    new, total = queries.shape[2], keys.shape[2]
    mask = None
    if visibility is not None:
        mask = _kept(_MASKS, visibility, sees)
    elif causal and (total > new or selected is not None):
        mask = torch.ones(new, total, dtype=torch.bool, device=keys.device).tril(total - new)
        mask = mask.expand(len(queries), 1, new, total)
    if selected is not None:
        rows = selected[:, None, :, None]
        queries = queries.take_along_dim(rows, dim=2)
        mask = None if mask is None else mask.take_along_dim(rows, dim=2)
    return F.scaled_dot_product_attention(
        queries,
        keys,
        values,
        attn_mask=mask,
        is_causal=causal and mask is None,
        dropout_p=dropout,
        enable_gqa=grouped,
    )


def sees(visibility: Tensor) -> Tensor:
    """Whether token s sees token t, [B, 1, S, S] boolean, from `visibility` [B, S]."""
    seen, documents = visibility[:, None, :], visibility.abs()
    size = visibility.shape[1]
    before = torch.ones(size, size, dtype=torch.bool, device=visibility.device).tril()
    mask = (documents[:, :, None] == documents[:, None, :]) & (before | (seen <= 0))
    return mask[:, None]


_MASKS: Any = WeakIdKeyDictionary()
_BLOCKS: Any = WeakIdKeyDictionary()
"""What all blocks of a model need is made by the first, and goes with its `visibility`."""


def _kept(store: Any, visibility: Tensor, make: Any) -> Any:
    if visibility not in store:
        store[visibility] = make(visibility)
    return store[visibility]


def _flexible(
    queries: Tensor, keys: Tensor, values: Tensor, visibility: Tensor, grouped: bool
) -> Tensor:
    """The same by FlexAttention (Dong et al. 2024), which skips whole blocks that no token sees."""
    attention, create = _flex()
    mask = _kept(_BLOCKS, visibility, partial(block_mask, create=create))
    mixed: Tensor = attention(queries, keys, values, block_mask=mask, enable_gqa=grouped)
    return mixed


def block_mask(visibility: Tensor, create: Any = create_block_mask) -> Any:
    """`sees` in the form that FlexAttention takes: a rule, and the blocks where it is ever true."""
    documents = visibility.abs()

    def rule(row: Tensor, _: Tensor, token: Tensor, other: Tensor) -> Tensor:
        same = documents[row, token] == documents[row, other]
        return same & ((other <= token) | (visibility[row, other] <= 0))

    rows, size = visibility.shape
    return create(rule, rows, None, size, size, device=visibility.device.type)


@lru_cache(maxsize=1)
def _flex() -> tuple[Any, Any]:
    """Attention and the making of its blocks, compiled: 12 ms for these at each step otherwise."""
    return torch.compile(flex_attention), torch.compile(create_block_mask)
