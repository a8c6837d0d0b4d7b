"""One way to set white space.

Every Unicode space becomes a plain one (the no-break and the ideographic space too: what they tell
a typesetter, a language model need not learn); spaces and tabs at the ends of lines go; runs of
spaces inside a line become one, while indentation stays, because programs and verse need it; more
than one blank line becomes one; and nothing stands before the first or after the last character.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.unusual import unusual
from dslm.preprocess.document import Document

_RUN = re.compile("  +")
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")


@dataclass(config=STRICT, frozen=True, kw_only=True)
class WhitespaceConfig:
    """Whether white space is put in order."""

    on: bool = False
    """Whether odd, repeated and trailing white space is put in order."""


class Whitespace:
    """The step that orders white space; see `dslm.preprocess.clean.step.Step`."""

    def __init__(self, settings: WhitespaceConfig) -> None:
        pass

    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """Clean texts; counts ``white space changed``; leaves out no document."""
        for document in documents:
            text = _ordered(document.text)
            if text != document.text:
                document.text = text
                counts["white space changed"] += 1
        return [None] * len(documents)


def _ordered(text: str) -> str:
    if not text.isascii():
        for space in sorted(set(_SPACES.findall(unusual(text)))):
            text = text.replace(space, " ")
    lines = map(str.rstrip, text.split("\n"))
    text = "\n".join(
        [_single_spaced(line) if "  " in line and "  " in line.lstrip() else line for line in lines]
    ).strip()
    while "\n\n\n" in text:  # each pass takes a third of a run
        text = text.replace("\n\n\n", "\n\n")
    return text


def _single_spaced(line: str) -> str:
    words = line.lstrip()
    return line[: len(line) - len(words)] + _RUN.sub(" ", words)
