"""Put placeholders for personal data: e-mail, IP, telephone, card and identity numbers, and keys.

For each kind a glance at the text says whether it can hold one at all; only then are the patterns
tried: `addresses`, `numbers`, `keys`. What was found is replaced by the
placeholder of its kind and counted; it is kept nowhere. The numbers come from the most certain kind
to the least, each looking at what the kinds before it left.

Patterns find what has a form. Names, streets and numbers written in words stay in the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.personal.addresses import Span, addresses, emails, may_hold_ipv6
from dslm.preprocess.clean.personal.keys import keys, may_hold_keys
from dslm.preprocess.clean.personal.numbers import cards, identities, phones
from dslm.preprocess.clean.step import Formatter
from dslm.preprocess.document import Document

PersonalKind = Literal["key", "email", "id", "card", "ip", "phone"]
KINDS: tuple[PersonalKind, ...] = ("key", "email", "id", "card", "ip", "phone")
"""In the order in which they are masked."""

_DIGITS = {"id": 17, "card": 13, "ip": 5, "phone": 7}
"""Of each kind of number, the fewest digits in a row, if what is between groups is left out."""

_BETWEEN_GROUPS = b" ().+-/" + bytes(range(0x80, 0x100))
_DIGITS_TO_ZERO = bytes(ord("0") if chr(byte) in "0123456789" else 0 for byte in range(256))


@dataclass(config=STRICT, frozen=True, kw_only=True)
class PersonalConfig:
    """Which personal data are replaced by a placeholder."""

    on: bool = False
    """Whether personal data are masked."""
    kinds: tuple[PersonalKind, ...] = KINDS
    """What is masked: ``email``, ``ip``, ``phone``, ``card`` (payment cards), ``id`` (Chinese
    identity numbers), ``key`` (private keys, tokens and passwords in programs)."""
    private_addresses: bool = False
    """Whether IP addresses that name no machine of the internet (private, loopback, link-local,
    documentation) are masked too."""


class Personal(Formatter):
    """The step that masks personal data."""

    presets = ("web",)
    counted = "personal data masked"

    def __init__(self, settings: PersonalConfig) -> None:
        super().__init__(settings)
        finders: dict[PersonalKind, Callable[[str], list[Span]]] = {
            "key": keys,
            "email": emails,
            "id": identities,
            "card": cards,
            "ip": partial(addresses, private=settings.private_addresses),
            "phone": phones,
        }
        self._finders = {kind: finders[kind] for kind in KINDS if kind in settings.kinds}

    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """Mask all texts; counts ``email documents``, ``email places`` and so on besides."""
        for document in documents:
            document.text = self._masked(document.text, counts)
        return [None] * len(documents)

    def format(self, text: str) -> str:
        """The text with a placeholder for each personal datum."""
        return self._masked(text, Counter())

    def _masked(self, text: str, counts: Counter[str]) -> str:
        found: Counter[str] = Counter()
        digits = _digits(text)
        for kind, finder in self._finders.items():
            if _possible(kind, text, digits) and (spans := finder(text)):
                text = _replaced(text, spans, f"<{kind.upper()}>")
                found.update({f"{kind} documents": 1, f"{kind} places": len(spans)})
        counts.update(found)
        counts.update([self.counted] if found else [])
        return text


def _digits(text: str) -> bytes:
    """The text with zeros for digits, nothing for what may be between them, and NUL for all else.

    Empty when that holds too few digits in a row for any kind of number. A table applied
    by the C library costs about two nanoseconds a byte, a regular expression twice that.
    """
    digits = text.encode("utf-8", "surrogatepass").translate(_DIGITS_TO_ZERO, _BETWEEN_GROUPS)
    return digits if b"0" * min(_DIGITS.values()) in digits else b""


def _possible(kind: PersonalKind, text: str, digits: bytes) -> bool:
    """Whether a text deserves a closer look."""
    if kind == "email":
        return "@" in text
    if kind == "key":
        return may_hold_keys(text)
    if kind == "ip" and may_hold_ipv6(text):
        return True
    return b"0" * _DIGITS[kind] in digits


def _replaced(text: str, spans: Sequence[Span], placeholder: str) -> str:
    """A text with a placeholder for each of its spans, which are sorted and apart."""
    starts = [start for start, _ in spans] + [len(text)]
    ends = [0] + [end for _, end in spans]
    return placeholder.join(text[end:start] for end, start in zip(ends, starts, strict=True))
