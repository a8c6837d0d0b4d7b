"""The places of a row that are asked for, so that nothing is computed of the others.

The last block needs keys and values of all tokens, but the queries, the feed-forward layer and all
that follows only where something is to be predicted: at the masked places, for one.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pick(hidden: Tensor, picked: Tensor | None) -> Tensor:
    """What is at some places of each row.

    Args:
        hidden: [B, S, D].
        picked: [B, M] places; all of them without it.

    Returns:
        [B, M, D].
    """
    if picked is None:
        return hidden
    rows = torch.arange(len(hidden), device=hidden.device)[:, None] * hidden.shape[1]
    found = hidden.flatten(0, 1).index_select(0, (rows + picked).flatten())
    return found.view(*picked.shape, -1)
