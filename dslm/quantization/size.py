"""How many bytes numbers of few bits take where they are stored."""

from __future__ import annotations

from dslm.quantization.config import Scheme

WORD = 32
"""Bits of a word, of which each output has whole ones."""


def stored_bytes(scheme: Scheme, outputs: int, inputs: int) -> int:
    """Bytes of a weight [outputs, inputs]: packed levels, and steps of 16 bits; of 32 above 4.

    They are those that `dslm.hub.compressed` packs.
    """
    words = -(-inputs * scheme.weights // WORD)
    steps = inputs // (scheme.group or inputs)
    return outputs * (words * WORD // 8 + steps * (2 if scheme.weights <= 4 else 4))
