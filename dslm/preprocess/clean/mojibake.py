"""Undo text that was decoded with the wrong encoding, such as ``cafÃ©`` for ``café``.

The repair is ftfy's (Speer 2019, https://ftfy.readthedocs.io), which is careful and slow. A text
goes to it only if it holds what such an accident leaves behind: two neighbouring characters that
some single-byte encoding gives for the first and second byte of one UTF-8 character. The search is
made among the unusual characters of the text, then line by line, so that one broken quotation in a
sound page is mended too.

Control characters of the C1 range are evidence here: run this step before `controls`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.step import Formatter
from dslm.preprocess.clean.unusual import unusual


@dataclass(config=STRICT, frozen=True, kw_only=True)
class MojibakeConfig:
    """Whether wrongly decoded text is repaired."""

    on: bool = False
    """Whether text decoded with the wrong encoding is repaired."""


class Mojibake(Formatter):
    """The step that repairs encodings."""

    presets = ("text", "web")
    counted = "encoding repaired"

    def __init__(self, settings: MojibakeConfig) -> None:
        super().__init__(settings)
        self._possible, self._likely = _suspicion()
        self._repair = _repairer()

    def format(self, text: str) -> str:
        """The text with wrongly decoded lines repaired."""
        if not self._suspect(text):
            return text
        lines = text.split("\n")
        return "\n".join(self._repair(line) if self._suspect(line) else line for line in lines)

    def _suspect(self, text: str) -> bool:
        if text.isascii():
            return False
        rest = unusual(text)
        first = self._possible.search(rest)
        return first is not None and self._likely.search(rest, first.start()) is not None


def _repairer() -> Callable[[str], str]:
    """The repair of encodings, alone among what ftfy can do; quotes stay curly."""
    import ftfy

    config = ftfy.TextFixerConfig(
        explain=False,
        restore_byte_a0=True,  # "Ã " whose no-break space became a plain one
        decode_inconsistent_utf8=True,  # a broken piece inside a sound line
        fix_c1_controls=True,  # Windows-1252 read as Latin-1
        replace_lossy_sequences=False,  # would put U+FFFD where bytes are missing
    )
    lost = "\ufffd"  # for ftfy it is the byte 0x1a, which it would leave
    return lambda line: lost.join(ftfy.fix_encoding(part, config) for part in line.split(lost))


@lru_cache(maxsize=1)
def _suspicion() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What matches the unusual characters of every text that ftfy could repair.

    Returns:
        A pattern that is quick to search and matches too much, and the one that decides.
    """
    from ftfy.chardata import CHARMAP_ENCODINGS

    leads = [_characters(0xC2, 0xF5, encoding) for encoding in CHARMAP_ENCODINGS]
    followers = [_characters(0x80, 0xC0, encoding) for encoding in CHARMAP_ENCODINGS]
    alone = "\x80-\x9fÂÃ"  # C1 controls; a lead whose follower became a plain space
    pairs = [f"[{lead}][{follower}]" for lead, follower in zip(leads, followers, strict=True)]
    return (
        re.compile(f"[{alone}{''.join(leads)}]"),
        re.compile("|".join([f"[{alone}]", *pairs])),
    )


def _characters(first: int, end: int, encoding: str) -> str:
    """What an encoding makes of a range of bytes, for use in a set of a regular expression."""
    return re.escape(bytes(range(first, end)).decode(encoding, "ignore"))
