"""Remove what an extractor of web pages left of HTML.

Comments and the content of scripts and styles go; the tags that begin or end a block become line
breaks (`whitespace` thins them out); the other tags go; last, entities become characters, twice
where ``&`` itself was escaped.

Only the names of a fixed list are tags, and only where a tag could end: ``a < b``, ``<stdio.h>``
and ``List<int>`` are text. Whether ``<b>`` is a tag or a parameter of a type is decided for the
whole text: HTML has attributes, or ends some of the elements that it begins, and it has more lines
with tags than lines of a program, unless it begins as a page does. A program stays as it is, with
the HTML in its strings and comments.

Entities come last so that ``&lt;p&gt;``, which a writer of a page about HTML put there on purpose,
survives as ``<p>``.
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
_TAG = _tag(f"{_BLOCKS}|{_INLINES}|script|style")
# What is hidden ends before the next of its kind begins: many that are opened and never closed
# would otherwise each be searched to the end of the text.
_HIDDEN = re.compile(
    r"<!--(?:(?!<!--).)*?-->|<!doctype\b[^<>]*>"
    r"|<(script|style)\b[^<>]*>(?:(?!<(?:script|style)\b).)*?</\1\s*>",
    re.IGNORECASE | re.DOTALL,
)
_PAGE = re.compile(r"\s*(?:<\?xml[^<>]*>\s*)?<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
# What is in a tag, or is one, and in no parameter of a type: an end, a line break, an attribute.
_SURE = re.compile(
    r"""</(?!s\s*>)|<[bh]r\b|=\s*["']|\s(?:align|alt|bgcolor|border|class|color|colspan|content|face|"""
    r"""height|href|id|lang|name|rel|size|src|start|style|target|title|type|valign|width)\s*=""",
    re.IGNORECASE,
)
_COMMENT_OR_PARAGRAPH = re.compile(
    r"""<!--|(?:^[ \t]*|[.!?:;"')>]\s?)<(?:p|li|d[dt]|t[dr])>""", re.IGNORECASE | re.MULTILINE
)
_CODE_SPANS = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_LISTING = re.compile(r"<pre\b(?:(?!<pre\b).)*?</pre\s*>", re.IGNORECASE | re.DOTALL)
_PROGRAM_LINE = re.compile(
    r"""(?:.*(?:[{}\\(\[]|[)\]][,:;]|->|=>?|\|\||&&)
    | (?=.*;\Z)[^=()\[\]{}<>*&|+/_]*[=()\[\]{}<>*&|+/_].* | (?:break|continue|return);
    | [)\]}]+[,;]?
    | (?://|/\*|\*/|@\w|\#\s*(?:include|define|undef|if|ifn?def|else|elif|endif|pragma)\b).*
    | (?:async\ )?(?:def|class|if|elif|else|for|while|with|try|except|finally)\b.*:
    | import\ [\w.]+(?:\ as\ \w+)? | from\ [\w.]+\ import\ .*
    | (?:return|raise|yield|assert|export|module|func|fn|pub|let|const|var)\ \S.*[\w)\]"']
    | (?:[\w:*&<>,]+\ )?[\w.\[\]'"]+\ [-+*/|&]?=\ \S.*
    | [\w.]+\(.*\)
    )\Z""",
    re.VERBOSE,
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
        if "<" not in text and "&" not in text:
            return text
        page = _PAGE.match(text) is not None
        tagged = "<" in text and (page or _is_tagged(_CODE_SPANS.sub("", text)))
        if not tagged and not _ENTITY.search(text):
            return text
        if not page and _is_program(text):
            return text
        return _without_entities(_without_tags(text) if tagged else text)


def _is_tagged(text: str) -> bool:
    """Whether a text holds HTML rather than what looks like a tag."""
    sure = any(_SURE.search(tag[0]) for tag in _TAG.finditer(text))
    return sure or _COMMENT_OR_PARAGRAPH.search(text) is not None


def _is_program(text: str) -> bool:
    """Whether a text has more lines of a program than lines with markup, and not just a few."""
    marked = program = 0
    lines = _LISTING.sub("", _HIDDEN.sub("", text)).split("\n")
    for line in lines:
        rest = _without_entities(_TAG.sub("", line))
        if _PROGRAM_LINE.match(rest.strip()):
            program += 1
        else:
            marked += rest != line
    return program > marked and 5 * program > sum(map(bool, lines))


def _without_tags(text: str) -> str:
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
