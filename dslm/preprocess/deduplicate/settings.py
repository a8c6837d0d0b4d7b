"""What counts as being there twice: the settings of this step."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT

Positive = Annotated[int, Field(ge=1)]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Duplicates:
    """Which repetitions are removed; of all that are alike the first in input order stays.

    Shingles of 5 words and 14 bands of 8 rows are the choice of FineWeb (Penedo et al. 2024,
    section 3.4). Two documents of similarity s share a band with probability 1 - (1 - s^8)^14: 0.92
    at 0.8, 0.99 at 0.85, 0.05 at 0.5.
    """

    documents: bool = False
    """Remove documents that are equal to an earlier one but for white space."""
    paragraphs: bool = False
    """Cut out paragraphs that are found earlier letter for letter; a document of which nothing is
    left is removed."""
    near: bool = False
    """Remove documents that are nearly equal to an earlier one that stays (MinHash)."""
    paragraph_characters: Positive = 200
    """Shorter paragraphs may repeat. The default is about the 50 tokens of Lee et al. 2022:
    below it people repeat each other, above it they copy."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.8
    """The least Jaccard similarity of nearly equal documents."""
    shingle: Positive = 5
    """Words in a row that are compared as one; a character is a word in scripts without spaces."""
    bands: Positive = 14
    """Groups of MinHash values; documents that agree in one group are compared."""
    rows: Positive = 8
    """MinHash values in a group: more make comparisons fewer and misses more frequent."""

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        return self.documents or self.paragraphs or self.near
