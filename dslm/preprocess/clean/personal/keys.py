"""Where a text gives away a secret of a machine: private keys, tokens, passwords in programs."""

from __future__ import annotations

import re

from dslm.preprocess.clean.personal.addresses import Span
from dslm.preprocess.clean.personal.checks import entropy

_ISSUED = {
    # what every such key holds: the form of it
    "-----BEGIN ": (
        r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]{0,20000}-----END [A-Z ]{0,20}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s]*)"
    ),
    "AKIA": r"\bAKIA[0-9A-Z]{16}\b",  # Amazon Web Services
    "ASIA": r"\bASIA[0-9A-Z]{16}\b",
    "ghp_": r"\bghp_[A-Za-z0-9]{36,}",  # GitHub: of a person, of programs acting for one …
    "gho_": r"\bgho_[A-Za-z0-9]{36,}",
    "ghu_": r"\bghu_[A-Za-z0-9]{36,}",
    "ghs_": r"\bghs_[A-Za-z0-9]{36,}",
    "ghr_": r"\bghr_[A-Za-z0-9]{36,}",
    "github_pat_": r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    "xox": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    "AIza": r"\bAIza[0-9A-Za-z_-]{35}",  # Google
    "eyJ": (  # JSON web tokens, RFC 7519
        r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    ),
}
_ISSUED_FORMS = {mark: re.compile(form) for mark, form in _ISSUED.items()}
_SHORTEST = 16
_NAMES = ("key", "secret", "token", "passw", "pwd")
_ASSIGNED = re.compile(rf"""[=:]\s{{0,2}}["'`]?([A-Za-z0-9_+/=.~-]{{{_SHORTEST},}})""")
_NAME_BEFORE = re.compile(
    r"""(?:api[_-]?|access[_-]?|secret[_-]?|private[_-]?|auth[_-]?|encryption[_-]?)key(?:[_-]?id)?["'`]?\s*:?\Z"""
    r"""|(?:secret|token|passw(?:or)?d|pwd)["'`]?\s*:?\Z""",
    re.IGNORECASE,
)
_LEAST_ENTROPY = 3.0
"""Bits a character: what trufflehog asks of hexadecimal keys; English words reach it too, so that a
key must also hold a digit and a letter."""
_DIGITS = b"0123456789"
_LETTERS = bytes(range(ord("A"), ord("Z") + 1)) + bytes(range(ord("a"), ord("z") + 1))
_LIKE_KEYS = bytes(byte in _DIGITS + _LETTERS + b"_+/-" for byte in range(256))
_LONG_WORD = b"\1" * _SHORTEST


def may_hold_keys(text: str) -> bool:
    """Whether any word of a text is long enough for a key, and has a digit.

    A table applied by the C library finds the long words at two nanoseconds a byte.
    """
    content = text.encode("utf-8", "surrogatepass")
    form = content.translate(_LIKE_KEYS) + b"\0"
    start = form.find(_LONG_WORD)
    while start >= 0:
        end = form.find(b"\0", start)
        if len(content[start:end].translate(None, _DIGITS)) < end - start:
            return True
        start = form.find(_LONG_WORD, end)
    return False


def keys(text: str) -> list[Span]:
    """The keys of a text: in the forms of well-known issuers, or random and named as a secret.

    Of ``api_key = "…"`` only the value is a key.
    """
    spans = [
        match.span()
        for mark, form in _ISSUED_FORMS.items()
        if mark in text
        for match in form.finditer(text)
    ]
    lower = text.lower()
    if any(name in lower for name in _NAMES):
        spans += [match.span(1) for match in _ASSIGNED.finditer(text) if _is_secret(match)]
    return _apart(sorted(spans))


def _is_secret(match: re.Match[str]) -> bool:
    before, value = match.string[max(0, match.start() - 32) : match.start()], match[1]
    return (
        _NAME_BEFORE.search(before) is not None
        and any(character.isdigit() for character in value)
        and any(character.isalpha() for character in value)
        and entropy(value) >= _LEAST_ENTROPY
    )


def _apart(spans: list[Span]) -> list[Span]:
    """Sorted spans without those that begin inside the one before."""
    kept: list[Span] = []
    for span in spans:
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept
