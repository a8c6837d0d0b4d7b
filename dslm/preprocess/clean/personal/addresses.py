"""Where a text names a mailbox or a machine: e-mail, IPv4 and IPv6 addresses.

The patterns begin with a single character or with one set of characters, looking back only after
it, because the regular expression engine then skips quickly to where a match can begin.
"""

from __future__ import annotations

import ipaddress
import re

Span = tuple[int, int]
"""The first character, and the one after the last."""

_LETTERS = "A-Za-zÀ-ÖØ-öø-ɏ"  # not \w: Chinese text surrounds an address without a space
_MAILBOX = re.compile(rf"[{_LETTERS}0-9_][{_LETTERS}0-9._%+'&-]*\Z")
_HOST = re.compile(rf"(?:[{_LETTERS}0-9][{_LETTERS}0-9-]{{0,62}}\.)+([A-Za-z]{{2,24}})")
_LONGEST_MAILBOX = 64  # RFC 5321, section 4.5.3.1.1
_FILE_ENDINGS = frozenset(["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js"])

_IPV4 = re.compile(r"[0-9](?<![A-Za-z0-9_.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![A-Za-z0-9_]|\.[0-9])")
_VERSION_BEFORE = re.compile(
    r"(?:\b(?:version|ver|release|build|revision|firmware|section)|§|[A-Za-z]/)[\s:.=]*\Z",
    re.IGNORECASE,
)
_COLONS = re.compile(":[0-9A-Fa-f]{0,4}:")
_IPV6 = re.compile("[0-9A-Fa-f:](?<![0-9A-Za-z_:.].)[0-9A-Fa-f:]+(?![0-9A-Za-z_])")
_IPV6_IN_USE = tuple(
    ipaddress.IPv6Network(block) for block in ("2000::/3", "fe80::/10", "fc00::/7", "::1/128")
)


def emails(text: str) -> list[Span]:
    """The e-mail addresses of a text.

    A host without a dot is none, and neither is one that ends as files do (``logo@2x.png``).
    """
    spans: list[Span] = []
    for at in re.finditer("@", text):
        host = _HOST.match(text, at.end())
        mailbox = _MAILBOX.search(text, max(0, at.start() - _LONGEST_MAILBOX), at.start())
        after_last = not spans or spans[-1][1] <= at.start()
        if host and mailbox and after_last and host[1].lower() not in _FILE_ENDINGS:
            spans.append((mailbox.start(), host.end()))
    return spans


def addresses(text: str, private: bool) -> list[Span]:
    """The IP addresses of a text.

    Four numbers below ten (``1.2.3.4``), or four after a word such as ``version`` or after the name
    of a program (``Chrome/9.0.597.98``), number a version or a section. Of IPv6 only the blocks
    count that have been given out, so that ``a::b`` in a program is none.

    Args:
        text: any text.
        private: whether private, loopback, link-local and documentation addresses count.
    """
    spans = [match.span() for match in _IPV4.finditer(text) if _is_ipv4(match, private)]
    if may_hold_ipv6(text) and _COLONS.search(text):
        found = (_without_colon(match) for match in _IPV6.finditer(text))
        spans += [(start, end) for start, end in found if _is_ipv6(text[start:end], private)]
    return sorted(spans)


def may_hold_ipv6(text: str) -> bool:
    """Whether a text has the colons of an IPv6 address: seven, or two together."""
    return "::" in text or text.count(":") >= 7


def _is_ipv4(match: re.Match[str], private: bool) -> bool:
    try:
        address = ipaddress.IPv4Address(match[0])
    except ValueError:
        return False
    if max(address.packed) < 10:
        return False
    before = match.string[max(0, match.start() - 16) : match.start()]
    return (private or address.is_global) and not _VERSION_BEFORE.search(before)


def _without_colon(match: re.Match[str]) -> Span:
    """Where an address is that a colon of the sentence may follow."""
    found = match[0]
    return match.start(), match.end() - (found.endswith(":") and not found.endswith("::"))


def _is_ipv6(found: str, private: bool) -> bool:
    try:
        address = ipaddress.IPv6Address(found)
    except ValueError:
        return False
    return (private or address.is_global) and any(address in block for block in _IPV6_IN_USE)
