"""One way to set white space.

Every Unicode space becomes a plain one (the no-break and the ideographic space too: what they mean
to a typesetter, a language model need not learn); spaces and tabs at the ends of lines go; runs of
spaces inside a line become one, while indentation stays, because programs and verse need it; more
than one blank line becomes one; and none is left before the first or after the last character.
"""

from __future__ import annotations

import re

from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.step import Formatter
from dslm.preprocess.clean.unusual import unusual

_RUN = re.compile("  +")
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")


@dataclass(config=STRICT, frozen=True, kw_only=True)
class WhitespaceConfig:
    """Whether white space is put in order."""

    on: bool = False
    """Whether odd, repeated and trailing white space is put in order."""


class Whitespace(Formatter):
    """The step that orders white space."""

    presets = ("text", "web")
    counted = "white space changed"

    def format(self, text: str) -> str:
        """The text with its white space in order."""
        if not text.isascii():
            for space in sorted(set(_SPACES.findall(unusual(text)))):
                text = text.replace(space, " ")
        lines = [
            _single_spaced(line) if "  " in line and "  " in line.lstrip() else line
            for line in map(str.rstrip, text.split("\n"))
        ]
        text = "\n".join(lines).strip()
        while "\n\n\n" in text:  # each pass takes a third of a run
            text = text.replace("\n\n\n", "\n\n")
        return text


def _single_spaced(line: str) -> str:
    words = line.lstrip()
    return line[: len(line) - len(words)] + _RUN.sub(" ", words)
