"""One spelling for every character: Unicode normalization.

The same letter can be written as one code point or as a letter and a combining mark; a tokenizer
sees two different words. The text goes through Unicode's own quick check first and is rewritten
only if it is not in the chosen form already (Unicode Standard Annex 15).
"""

from __future__ import annotations

import unicodedata
from typing import Literal

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.step import Formatter


@dataclass(config=STRICT, frozen=True, kw_only=True)
class UnicodeConfig:
    """How characters are normalized."""

    on: bool = False
    """Whether texts are brought to one Unicode form."""
    form: Literal["nfc", "nfkc"] = "nfc"
    """`nfc` joins letters with their accents and changes no meaning; `nfkc` also turns full-width
    letters, ligatures, superscripts and the like into plain characters (10³ becomes 103)."""


class Unicode(Formatter):
    """The step that normalizes."""

    presets = ("text", "web")
    counted = "Unicode normalized"

    def __init__(self, settings: UnicodeConfig) -> None:
        super().__init__(settings)
        self._form: Literal["NFC", "NFKC"] = "NFC" if settings.form == "nfc" else "NFKC"

    def format(self, text: str) -> str:
        """The text in the chosen form."""
        if text.isascii() or unicodedata.is_normalized(self._form, text):
            return text
        return unicodedata.normalize(self._form, text)
