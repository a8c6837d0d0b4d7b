"""What is remembered of a document to find its like: hashes, never text.

Workers make the signatures of a unit of work while they clean it; see `divided` for their files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dslm.arrays import UInt64Array
from dslm.preprocess.deduplicate.minhash import minhash
from dslm.preprocess.deduplicate.paragraphs import nothing_beside, paragraphs
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.shingles import shingle_rows
from dslm.preprocess.text.ragged import Ragged

WHITE_SPACE = b" \t\n\r\v\f"


@dataclass(frozen=True)
class Signatures:
    """Of n documents; what is switched off takes no room."""

    exact: tuple[UInt64Array, ...]
    """The halves of a hash of each text without its white space: 2 columns of n, or none."""
    paragraphs: Ragged[np.uint64]
    """The hashes of the paragraphs of each document: n rows."""
    bare: npt.NDArray[np.uint8]
    """Whether a document is paragraphs and nothing else, 1 or 0: ``[n]``."""
    bands: tuple[UInt64Array, ...]
    """The hash of each group of MinHash values: a column of n for each band, or none."""

    def __len__(self) -> int:
        return self.bare.size

    @classmethod
    def concatenate(cls, parts: Sequence[Signatures]) -> Signatures:
        """The documents of several, at least one, in order."""
        return cls(
            exact=join_columns([part.exact for part in parts]),
            paragraphs=Ragged.concatenate([part.paragraphs for part in parts]),
            bare=np.concatenate([part.bare for part in parts]),
            bands=join_columns([part.bands for part in parts]),
        )


def signatures(texts: Sequence[str], settings: Duplicates) -> Signatures:
    """The signatures of some documents; some hundred at a time are fastest."""
    rows, bare = _paragraphs(texts, settings)
    bands: tuple[UInt64Array, ...] = ()
    if settings.near:
        bands = minhash(shingle_rows(texts, settings.shingle), settings.bands, settings.rows)
    return Signatures(_exact(texts) if settings.documents else (), rows, bare, bands)


def _exact(texts: Sequence[str]) -> tuple[UInt64Array, ...]:
    from xxhash import xxh3_128_digest

    squeezed = (_bytes(text).translate(None, WHITE_SPACE) for text in texts)
    halves = np.frombuffer(b"".join(map(xxh3_128_digest, squeezed)), "<u8").reshape(-1, 2)
    return halves[:, 0].copy(), halves[:, 1].copy()


def _paragraphs(
    texts: Sequence[str], settings: Duplicates
) -> tuple[Ragged[np.uint64], npt.NDArray[np.uint8]]:
    """The hashes of the paragraphs, and whether there is nothing beside them."""
    from xxhash import xxh3_64_intdigest

    hashes: list[int] = []
    lengths, bare = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.uint8)
    for number, text in enumerate(texts if settings.paragraphs else ()):
        spans = paragraphs(text, settings.paragraph_characters)
        hashes.extend(xxh3_64_intdigest(_bytes(text[begin:end])) for begin, end in spans)
        lengths[number] = len(spans)
        bare[number] = bool(spans) and nothing_beside(text, spans)
    return Ragged.of_lengths(np.array(hashes, np.uint64), lengths), bare


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def join_columns(parts: Sequence[tuple[UInt64Array, ...]]) -> tuple[UInt64Array, ...]:
    """The columns of several parts, each one after the other."""
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))
