"""Byte-level BPE by gigatoken, the extra ``dslm[fast]``: ten times as fast, and never needed.

It serves where it is installed and gives the ids of the `tokenizers` library for every probe.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from dslm.tokenizers.tokenizer import Encoded
from dslm.tokenizers.word_cache import Encode


def fast_encoder(model: str, probes: Sequence[str], encode: Encode) -> Encode | None:
    """An encoder that gives the same ids faster.

    Args:
        model: a `tokenizer.json` of byte-level BPE whose added tokens are all special ones, the
            names of which are text like any other.
        probes: texts on which both are compared.
        encode: the encoder to be replaced.

    Returns:
        `None` where gigatoken is not installed, does not know the model, or gives other ids.
    """
    try:
        from gigatoken import Tokenizer

        plain = {**json.loads(model), "added_tokens": [], "post_processor": None}
        fast = Tokenizer.from_json(json.dumps(plain))
    except (ImportError, ValueError, RuntimeError):
        return None
    ids, ends = encode(probes)

    def encode_fast(parts: Sequence[str]) -> Encoded:
        arrays = [fast.encode(part) for part in parts]
        ends = np.cumsum([array.size for array in arrays], dtype=np.int64)
        return np.concatenate([*arrays, np.empty(0, np.uint32)]).astype(ids.dtype), ends

    found, stops = encode_fast(probes)
    return encode_fast if np.array_equal(found, ids) and np.array_equal(stops, ends) else None
