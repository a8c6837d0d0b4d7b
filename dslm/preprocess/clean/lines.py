"""Remove lines that are not part of a page's text: the line rules of C4.

Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
Transformer" (arXiv 1910.10683), section 2.2, with the two rules that only their program has: very
long words and phrases of legal notices. FineWeb (Penedo et al. 2024, arXiv 2406.17557, section 3.5)
kept all but the one about punctuation, which costs a third of the text; so do the defaults.

Blank lines stay: they part paragraphs. A line in a script without spaces has as many words as such
characters. A text of one line may mention what it likes. The words must have been set apart by
plain white space: run `whitespace` before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.step import Formatter
from dslm.preprocess.text.scripts import PUNCTUATION, QUOTES, SEPARATORS, UNSPACED_BLOCKS

PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
"""What C4 takes a line of legal notices by."""

_BLOCKS = re.sub(r"\s*(\w+)", r"\\u\1", UNSPACED_BLOCKS)
# The basic plane: a set with a character of a higher one is searched ten times as slowly.
_UNSPACED = re.compile(f"[{_BLOCKS}]")
_SPACED = dict.fromkeys(map(ord, SEPARATORS), " ")
_STOPLESS = re.compile("[\u0e00-\u0eff]")
_ENDS = tuple((PUNCTUATION | QUOTES) - {"…"})
Count = Annotated[int, Field(ge=1)]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class LinesConfig:
    """Which lines are removed; null or false switches a rule off."""

    on: bool = False
    """Whether lines that are not part of a page's text are removed."""
    minimum_words: Count | None = 3
    """Fewest words of a line."""
    maximum_word: Count | None = 1000
    """Most characters of a word."""
    javascript: bool = True
    """Whether lines that mention JavaScript are removed."""
    policy: bool = True
    """Whether lines about cookies, privacy policies and terms of use are removed."""
    unpunctuated: bool = False
    """Whether lines that do not end in punctuation are removed."""


class Lines(Formatter):
    """The step that removes lines."""

    presets = ("web",)
    counted = "lines removed"
    nothing_left = "no lines left"

    def __init__(self, settings: LinesConfig) -> None:
        super().__init__(settings)
        self._phrases = PHRASES * settings.policy + ("javascript",) * settings.javascript

    def format(self, text: str) -> str:
        """The text without the lines that a rule removes."""
        lines = text.split("\n")
        kept = self._kept(lines, self._mentioned(text))
        return text if len(kept) == len(lines) else "\n".join(kept)

    def _mentioned(self, text: str) -> list[str]:
        """The unwanted phrases in a text."""
        lowered = text.encode("utf-8", "surrogatepass").lower()  # bytes, for speed: ASCII alone
        return [phrase for phrase in self._phrases if phrase.encode() in lowered]

    def _kept(self, lines: Sequence[str], phrases: Sequence[str]) -> Sequence[str]:
        limits = self._settings
        if limits.minimum_words is not None:
            last = limits.minimum_words - 1
            lines = [
                line
                for line in lines
                if not line or len(line.split(None, last)) > last or _words(line) > last
            ]
        most = limits.maximum_word
        if most is not None and max(map(len, lines), default=0) > most:
            lines = [line for line in lines if not _holds_long(line, most)]
        if limits.unpunctuated:
            lines = [line for line in lines if not line or _is_punctuated(line)]
        if phrases and len(lines) > 1:
            lines = [line for line in lines if not any(part in line.lower() for part in phrases)]
        return lines


def _words(line: str) -> int:
    """How many words a line has, where not only spaces part them."""
    if line.isascii():
        return 0
    return len(_UNSPACED.findall(line)) or len(line.translate(_SPACED).split())


def _is_punctuated(line: str) -> bool:
    ended = line.endswith(_ENDS) and not line.endswith("...")
    return ended or _STOPLESS.search(line) is not None


def _holds_long(line: str, most: int) -> bool:
    words = [word for word in line.translate(_SPACED).split() if len(word) > most]
    return any(not _UNSPACED.search(word) for word in words)
