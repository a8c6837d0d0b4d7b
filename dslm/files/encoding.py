"""The encoding of a file, decided once from its byte order mark and a sample of it."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dslm.files.streams import head, opened

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LEGACY = [
    "cp1252",
    "cp1250",
    "iso8859_2",
    "cp1251",
    "koi8_r",
    "gb18030",
    "big5",
    "cp932",
    "euc_jp",
    "cp949",
    "cp1253",
    "iso8859_7",
    "cp1254",
    "cp1255",
    "iso8859_8",
    "cp1256",
    "iso8859_6",
    "cp1257",
    "cp1258",
    "cp874",
    "tis_620",
]
"""Encodings that are guessed, the more usual ones first: those of the Encoding Standard
(encoding.spec.whatwg.org) with texts to speak of, without the DOS and Macintosh code pages, for
which almost any short text in Latin script could be taken."""
LATIN = {
    "cp1252": (),
    "iso8859_2": ("pl", "cs", "sk", "hu", "sl", "hr", "bs", "sr", "ro"),
    "cp1250": ("pl", "cs", "sk", "hu", "sl", "hr", "bs", "sr", "ro"),
    "cp1254": ("tr", "az"),
    "cp1257": ("lt", "lv", "et"),
    "cp1258": ("vi",),
    "cp1251": ("ru", "uk", "bg", "be", "mk", "sr"),
}
"""Those in which almost any text of another one can be read, most of their characters being letters
of Europe, with the languages that they were made for; the first serves all languages of the Latin
script that no other one here was made for."""
SURE = 50
"""Per cent of a text that must be in one language for it to count."""
STRANGE = 0.2
"""Strange places (see `_strange`) per character beyond ASCII from which on it is no text."""
CROWDED, FEW = 0.35, 20
"""Share of characters beyond ASCII that no Latin text has, if they are more than a few."""
_LETTER = "A-Za-zªµºÀ-ÖØ-öø-ɏḀ-ỿ\u0300-\u036f"
_JOINED = "\u0300-\u036f\u0591-\u05c7\u064b-\u0655\u0e31-\u0e4e"  # accents and vowel signs
_OTHER = rf"[^\W\d_{_LETTER}]"
STRANGE_PLACE = re.compile(
    rf"[{_LETTER}]{_OTHER}|{_OTHER}[{_LETTER}]"  # scripts that change within a word
    rf"|[^\W\d_][^\w\s\x00-\x7f·\u2010-\u2019{_JOINED}]+(?=[^\W\d_])"  # signs within a word
    r"|[^\W\d_][²³¹¼½¾]|[À-ɏ]{3}|[a-zß-öø-ÿ][À-ÖØ-Þ]|[а-џ][Ѐ-Я]|[\ufffd\x80-\x9f]"
)
CONTROL = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\ufffd]")
BEYOND_ASCII = re.compile("[^\\x00-\\x7f]")
SAMPLES = 8
"""Samples taken from all over a plain file; of a packed one only the beginning is taken."""
SAMPLE = 1 << 15
"""Bytes taken from each."""
VALID = 10
"""Text is UTF-8 when it has more than so many valid characters beyond ASCII for each invalid
one: one damaged byte must not turn a book into another encoding, and text of another encoding is
seldom valid UTF-8 by chance."""


def encoding_of(path: Path, compression: str, detect: bool) -> str:
    """The codec of Python with which to read a file.

    Args:
        path: the file.
        compression: how it is packed.
        detect: whether to guess the encoding of what is not UTF-8.

    Raises:
        DataError: the file cannot be read.
    """
    marked = mark(head(path, compression, len(codecs.BOM_UTF32_LE)))
    if marked or not detect:
        return marked or "utf-8"
    return encoding_in(_sample(path, compression), detect)


def encoding_in(sample: bytes, detect: bool) -> str:
    """The same for a text of which a sample from its beginning is at hand."""
    return mark(sample) or (_guess(sample) if detect else "utf-8")


def mark(start: bytes) -> str:
    """The encoding whose byte order mark a file begins with, that of UTF-8 aside; else nothing."""
    return next((name for sign, name in MARKS.items() if start.startswith(sign)), "")


def _sample(path: Path, compression: str) -> bytes:
    """Whole lines from all over a file, so that no character is cut in two."""
    size = path.stat().st_size
    if compression or size <= SAMPLES * SAMPLE:
        return head(path, compression, SAMPLES * SAMPLE)
    lines = []
    with opened(path) as file:
        for number in range(SAMPLES):
            file.seek(number * (size - SAMPLE) // (SAMPLES - 1))
            found = file.read(SAMPLE)
            lines.append(found[found.find(b"\n") + 1 : found.rfind(b"\n") + 1] or found)
    return b"".join(lines)


def _guess(sample: bytes) -> str:
    text = sample.decode("utf-8", "replace")
    invalid = text.count("\ufffd")
    valid = len(BEYOND_ASCII.findall(text)) - invalid
    if invalid * VALID <= valid:
        return "utf-8"
    from charset_normalizer import from_bytes

    decisive = b"".join(line for line in sample.splitlines(keepends=True) if not line.isascii())
    best = min(from_bytes(decisive, cp_isolation=LEGACY), key=_rank, default=None)
    encoding = LEGACY[_rank(best)[2]] if best else "cp1252"
    if encoding in LATIN or _strange(decisive.decode(encoding, "replace")) > STRANGE:
        encoding = _latin(decisive)
    return encoding.replace("_", "-")


def _latin(sample: bytes) -> str:
    """The one of `LATIN` whose own language a text is in, else the least strange, if it can be."""
    ranks = []
    for number, (encoding, own) in enumerate(LATIN.items()):
        text = sample.decode(encoding, "replace")
        strange, language = _strange(text), _language(text)
        beyond = len(BEYOND_ASCII.findall(text))
        if encoding != "cp1251" and beyond > max(CROWDED * len(text), FEW):
            strange = 1.0
        others = {code for codes in LATIN.values() for code in codes}
        at_home = language in own if own else language not in others
        ranks.append((not at_home or strange > STRANGE, round(strange, 1), number, encoding))
    _, strange, _, encoding = min(ranks)
    return encoding if strange <= STRANGE else "utf-8"


def _strange(text: str) -> float:
    """Places at which no text in its right encoding looks so, per character beyond ASCII."""
    return len(STRANGE_PLACE.findall(text)) / max(len(BEYOND_ASCII.findall(text)), 1)


def _language(text: str) -> str:
    """The language of a text by CLD2, or nothing."""
    import pycld2

    try:
        found = pycld2.detect(CONTROL.sub(" ", text), isPlainText=True, bestEffort=True)
    except (pycld2.error, UnicodeEncodeError):
        return ""
    _, code, share, _ = found[2][0]
    return code if share >= SURE else ""


def _rank(match: CharsetMatch) -> tuple[float, float, int]:
    """Least disorder, most words of a language, and of equals the more usual encoding."""
    equals = [LEGACY.index(name) for name in match.could_be_from_charset if name in LEGACY]
    return round(match.chaos, 2), -round(match.coherence, 1), min(equals, default=len(LEGACY) - 1)
