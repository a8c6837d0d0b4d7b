"""Remove what an extractor of web pages left of HTML.

Comments and the content of scripts and styles go; the tags that begin or end a block become line
breaks (`whitespace` thins them out); the other tags go; last, entities become characters, twice
where ``&`` itself was escaped.

Only the names of a fixed list are tags, and only where a tag could end: ``a < b``, ``<stdio.h>``
and ``List<int>`` are text. Entities come last so that ``&lt;p&gt;``, which a writer of a page
about HTML put there on purpose, survives as ``<p>``.
"""

from __future__ import annotations

import html
import re

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.step import Formatter

# Tags that become a line break, and tags that vanish.
_BLOCKS = (
    "address|article|aside|blockquote|body|br|caption|center|dd|div|dl|dt|fieldset|figcaption|"
    "figure|footer|form|h1|h2|h3|h4|h5|h6|head|header|hr|html|li|main|nav|ol|option|p|pre|section|"
    "select|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_INLINES = (
    "a|abbr|acronym|b|bdi|bdo|big|button|cite|code|col|colgroup|del|dfn|em|embed|font|i|iframe|img|"
    "input|ins|kbd|label|link|mark|meta|nobr|noscript|param|q|s|samp|small|source|span|"
    "strike|strong|sub|sup|svg|tt|u|video|wbr"
)
_ATTRIBUTES = (
    r"""(?:\s+[A-Za-z_:@][-\w:.@]*(?:\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=`]+))?)*\s*/?>"""
)


def _tag(names: str) -> re.Pattern[str]:
    """Tags in small or in capital letters; ``Map<Label>`` and ``Option<A>`` are none.

    As it begins with a character, the library looks for that one first, which is quick.
    """
    capitals = rf"(?:(?<!\w<)|/|(?=\w\w))(?:{names.upper()})"
    return re.compile(rf"<(?:/?(?:{names})|{capitals}){_ATTRIBUTES}")


_BLOCK, _INLINE, _SCRIPT = _tag(_BLOCKS), _tag(_INLINES), _tag("script|style")
# What is hidden ends before the next of its kind begins: many that are opened and never closed
# would otherwise each be searched to the end of the text.
_HIDDEN = re.compile(
    r"<!--(?:(?!<!--).)*?-->|<!doctype\b[^<>]*>"
    r"|<(script|style)\b[^<>]*>(?:(?!<(?:script|style)\b).)*?</\1\s*>",
    re.IGNORECASE | re.DOTALL,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")


@dataclass(config=STRICT, frozen=True, kw_only=True)
class MarkupConfig:
    """Whether left-over HTML is removed."""

    on: bool = False
    """Whether HTML tags, comments, scripts and styles are removed and entities become
    characters."""


class Markup(Formatter):
    """The step that removes HTML."""

    presets = ("text", "web")
    counted = "markup removed"

    def format(self, text: str) -> str:
        """The text without tags, entities turned into characters."""
        return _without_entities(_without_tags(text))


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    return _SCRIPT.sub("", _INLINE.sub("", _BLOCK.sub("\n", _HIDDEN.sub("", text))))


def _without_entities(text: str) -> str:
    """Unescape ``&amp;`` and, after it, what it had escaped: ``&amp;quot;`` is a quotation mark.

    Entities without their semicolon stay: ``?a=1&copy=2`` is an address.
    """
    for _ in range(2):
        if "&" not in text:
            break
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text
