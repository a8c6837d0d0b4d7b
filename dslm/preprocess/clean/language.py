"""Say in which language a text is written, and leave out the languages that are not wanted.

Compact Language Detector 2 (Riesa and Giuliani, github.com/CLD2Owners/cld2) carries its tables for
160 languages in the library: no model is downloaded. A text is judged by a sample, three pieces
from its beginning, middle and end, so that the cost hardly depends on its length:

    text  ->  sample without runs of white space  ->  shares of languages  ->  the largest

Languages are named as in ISO 639-1, those without a code there as in ISO 639-3, and ``und`` where
too little of the sample is in any one language. Norwegian is ``no`` or ``nn``; Chinese is ``zh`` in
either script. The detector takes languages that it does not know for the nearest, which for those
in plain Latin letters is English: that is believed only where the text scores as English does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import DataError, Problem, suggest
from dslm.preprocess.clean.step import Filter
from dslm.preprocess.document import Document

UNKNOWN = "und"
"""What ISO 639-3 calls an undetermined language."""

_PIECES, _PIECE = 3, 130  # characters; more are no surer, and cost in proportion
_ENGLISH = 580
"""The detector's score for a kilobyte from which a text is in English: 50 words of novels, plays
and web pages have 650 to 1,400; of such in 387 other languages, one in a thousand has 570."""
_LONG_ENOUGH = 250  # characters, or 50 words, for that score to mean something
_OLD_CODES = {"iw": "he", "jw": "jv", "zh-Hant": "zh"}
# Control characters and noncharacters, which the detector refuses.
_REFUSED = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)


@dataclass(config=STRICT, frozen=True, kw_only=True)
class LanguageConfig:
    """Which languages are kept."""

    on: bool = False
    """Whether the language of each document is identified."""
    allow: tuple[str, ...] | None = None
    """The languages to keep, as ISO 639-1 codes such as ``en`` (``und`` for texts whose language
    is unclear); null keeps all."""
    minimum_confidence: Annotated[float, Field(ge=0, le=1)] = 0.3
    """The share of a text that must be in one language, else the language is unclear; the detector
    counts formal prose of one language as a half or more."""


class Language(Filter):
    """The step that identifies languages, and sets the language of documents.

    Raises:
        DataError: a language to keep is none that can be identified.
    """

    presets = ("web",)

    def __init__(self, settings: LanguageConfig) -> None:
        super().__init__(settings)
        self._allow = None if settings.allow is None else frozenset(settings.allow)
        known = {*_codes().values(), UNKNOWN}
        unknown = [code for code in settings.allow or () if code not in known]
        if unknown:
            rule = "is no language that can be identified"
            fix = "use ISO 639-1 codes such as en, de, zh"
            raise DataError(
                *(
                    Problem("cleaning.language.allow", code, rule, suggest(code, known, fix))
                    for code in unknown
                )
            )

    def reasons(self, documents: Sequence[Document]) -> list[str | None]:
        """``other language: de`` and so on, or ``language unclear``, for what is not to be kept."""
        for document in documents:
            document.language = _identified(document.text, self._settings.minimum_confidence)
        return [self._reason(document.language) for document in documents]

    def _reason(self, language: str) -> str | None:
        if self._allow is None or language in self._allow:
            return None
        return "language unclear" if language == UNKNOWN else f"other language: {language}"


def sample(text: str) -> str:
    """The pieces of a text by which its language is identified; a short text is its own sample."""
    if len(text) <= _PIECES * _PIECE:
        return " ".join(text.split())
    last = len(text) - _PIECE
    starts = [last * piece // (_PIECES - 1) for piece in range(_PIECES)]
    return " ".join(" ".join(text[start : start + _PIECE] for start in starts).split())


def is_english(document: Document) -> bool:
    """Whether a document is surely in English: identified so before, or now if none was yet.

    A few words are no evidence for the detector; of those, unaccented Latin letters are.
    """
    text = document.text
    if document.language or len(text) >= _LONG_ENOUGH:
        confidence = LanguageConfig().minimum_confidence
        return (document.language or _identified(text, confidence)) == "en"
    letters = [letter for letter in text if letter.isalpha()]
    return 2 * sum(map(str.isascii, letters)) >= len(letters)


def _identified(text: str, confidence: float) -> str:
    """The largest language of a text that the detector can name and has so large a share."""
    import pycld2

    taken = sample(text)
    try:
        found = pycld2.detect(taken, isPlainText=True, bestEffort=True)
    except (pycld2.error, UnicodeEncodeError):
        found = pycld2.detect(_REFUSED.sub(" ", taken), isPlainText=True, bestEffort=True)
    for _, code, percent, score in found[2]:
        if code in _codes() and percent >= 100 * confidence:
            return UNKNOWN if code == "en" and score < _ENGLISH else _codes()[code]
    return UNKNOWN


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """The ISO codes of the languages that the detector can name, by its own codes for them."""
    import pycld2

    names = {name for name in pycld2.DETECTED_LANGUAGES if not name.startswith("X_")}
    codes = [code for name, code in pycld2.LANGUAGES if name in names]
    return {code: _OLD_CODES.get(code, code) for code in codes}
