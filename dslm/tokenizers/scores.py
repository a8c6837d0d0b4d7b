"""Scores of pieces that add up without rounding.

Unigram takes the cut of a word whose pieces have the highest sum of scores (Kudo 2018). Runs of one
character can be cut in many ways of equal sum, among which SentencePiece chooses by the rounding of
its 32-bit sums, so that no other program finds the same cut. Scores that are multiples of 1/256
have exact sums up to 65,536 in 32 bits, hence one best cut everywhere; they change by 0.002 nats.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

STEP = 1 / 256

PIECES = 1
SCORE = 2
"""Numbers of fields of sentencepiece_model.proto: ModelProto.pieces, SentencePiece.score."""


def rounded(model: bytes) -> bytes:
    """A SentencePiece model whose scores are multiples of `STEP`."""
    changed = bytearray(model)
    for piece, begin, stop in _fields(model, 0, len(model)):
        for field, start, end in _fields(model, begin, stop) if piece == PIECES else ():
            if field == SCORE:
                (score,) = struct.unpack("<f", model[start:end])
                changed[start:end] = struct.pack("<f", round(score / STEP) * STEP)
    return bytes(changed)


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number of each field of a message, the first byte of its content, the one after its last.

    As https://protobuf.dev/programming-guides/encoding has them.
    """
    while start < end:
        tag, start = _number(data, start)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            stop = _number(data, start)[1]
        elif kind == 2:
            size, start = _number(data, start)
            stop = start + size
        else:
            stop = start + (8 if kind == 1 else 4)
        yield number, start, stop
        start = stop


def _number(data: bytes, start: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the byte after it."""
    value = shift = 0
    while data[start] >= 0x80:
        value |= (data[start] & 0x7F) << shift
        start, shift = start + 1, shift + 7
    return value | data[start] << shift, start + 1
