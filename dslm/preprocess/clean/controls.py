"""Remove characters that no reader sees and no tokenizer should learn.

Every kind of line break becomes a line feed; then these go: the C0 and C1 controls but tab and line
feed, soft hyphens, zero-width spaces and word joiners, byte order marks inside the text,
directional marks, embeddings, overrides and isolates, interlinear annotation, private use, the
noncharacters, and lone surrogates (which cannot be written as UTF-8). These stay: the zero-width
joiner and non-joiner, which Persian, the Indic scripts and emoji spell words with, the zero-width
space where it parts words of Thai, Lao, Tibetan, Burmese or Khmer, variation selectors, and U+FFFD,
which shows that something was lost.
"""

from __future__ import annotations

import re

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.step import Formatter
from dslm.preprocess.clean.unusual import unusual
from dslm.preprocess.text.invisible import BETWEEN_WORDS, SPACE

_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_PLANE_0 = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # C0 and C1 without the breaks above
    "\xad\u200b\u2060-\u2064\ufeff"  # soft hyphen, zero widths, byte order mark
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction of writing
    "\ufff9-\ufffb"  # interlinear annotation
    "\ud800-\udfff"  # surrogates
    "\ue000-\uf8ff"  # private use
    "\ufdd0-\ufdef\ufffe\uffff"  # noncharacters
)
_HIGHER_PLANES = "\U000f0000-\U0010ffff" + "".join(  # private use, then noncharacters
    f"{chr(end - 1)}{chr(end)}" for end in range(0x1FFFF, 0xF0000, 0x10000)
)
_REMOVED = re.compile(f"[{_PLANE_0}{_HIGHER_PLANES}]+")
_REMOVED_BUT_BETWEEN_WORDS = re.compile(
    f"(?:(?!{BETWEEN_WORDS.pattern})[{_PLANE_0}{_HIGHER_PLANES}])+"
)
# Apart, because a set with a character of a higher plane is searched ten times as slowly.
_CHANGED_IN_PLANE_0 = re.compile(f"[\r\x0b\x0c\x85\u2028\u2029{_PLANE_0}]")
_IN_HIGHER_PLANES = re.compile("[\U00010000-\U0010ffff]")


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ControlsConfig:
    """Whether invisible characters are removed."""

    on: bool = False
    """Whether control, zero-width, directional and private-use characters are removed and all line
    breaks become line feeds."""


class Controls(Formatter):
    """The step that removes invisible characters."""

    presets = ("text", "web")
    counted = "control characters removed"

    def format(self, text: str) -> str:
        """The text without them, all its lines ended by line feeds."""
        rest = unusual(text)
        if not (_CHANGED_IN_PLANE_0.search(rest) or _IN_HIGHER_PLANES.search(rest)):
            return text
        removed = _REMOVED_BUT_BETWEEN_WORDS if SPACE in text else _REMOVED
        return removed.sub("", _BREAKS.sub("\n", text))
