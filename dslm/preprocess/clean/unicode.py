"""One spelling for every character: Unicode normalization.

The same letter can be written as one code point or as a letter and a combining mark; a tokenizer
sees two different words. The text goes through Unicode's own quick check first and is rewritten
only if it is not in the chosen form already (Unicode Standard Annex 15).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.document import Document


@dataclass(config=STRICT, frozen=True, kw_only=True)
class UnicodeConfig:
    """How characters are normalized."""

    on: bool = False
    """Whether texts are brought to one Unicode form."""
    form: Literal["nfc", "nfkc"] = "nfc"
    """`nfc` joins letters with their accents and changes no meaning; `nfkc` also turns full-width
    letters, ligatures, superscripts and the like into plain characters (10³ becomes 103)."""


class Unicode:
    """The step that normalizes; see `dslm.preprocess.clean.step.Step`."""

    def __init__(self, settings: UnicodeConfig) -> None:
        self._form: Literal["NFC", "NFKC"] = "NFC" if settings.form == "nfc" else "NFKC"

    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """Normalize texts; counts ``Unicode normalized``; leaves out no document."""
        for document in documents:
            text = document.text
            if text.isascii() or unicodedata.is_normalized(self._form, text):
                continue
            document.text = unicodedata.normalize(self._form, text)
            counts["Unicode normalized"] += 1
        return [None] * len(documents)
