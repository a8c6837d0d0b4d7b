"""The text of a stream of JSON, held as far as a value needs it, and the values in it."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import Any

BETWEEN = re.compile(r"[\s,\x1e\ufeff]*")
SPACE = re.compile(r"\s*")
BLOCK = 1 << 17
TOKEN = 16
"""Characters of the longest token, strings and numbers aside, that may be cut at a block's end."""
DECODER = json.JSONDecoder(parse_int=float, strict=False)
"""Python's integers have a limit of digits; its strings may hold line ends when asked."""


class DamageError(Exception):
    """The reason and the detail of what is lost."""


class JsonText:
    """A text of which some is read at a time.

    Args:
        more: gives some more bytes, none at the end.
        widest: characters of the longest value.
    """

    def __init__(self, more: Callable[[], bytes], widest: int) -> None:
        self._more, self._widest = more, widest
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._text, self._at, self._ended = "", 0, False
        self._is_line = True  # whether what comes next begins a line

    def _next(self) -> str:
        """The first character of what comes next; nothing at the end."""
        while True:
            match = BETWEEN.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                self._is_line = self._text[max(self._at - 1, 0)] in "\r\n" or not self._at
                if self._at > max(BLOCK, len(self._text) // 2):
                    self._drop(self._at)
                return self._text[self._at]
            self._drop(self._at)
            if not self._read():
                return ""

    def _drop(self, end: int) -> None:
        """Forget the text before a character."""
        self._text, self._at = self._text[end:], max(self._at - end, 0)

    def _read(self) -> bool:
        """Hold about twice as much text; returns whether there was more."""
        parts, size = [self._text], 0
        while not self._ended and size < max(BLOCK, len(self._text) - self._at):
            block = self._more()
            self._ended = not block
            parts.append(self._decode(block, self._ended))
            size += len(parts[-1])
        self._text = "".join(parts)
        return size > 0

    def _whole(self, start: int) -> tuple[Any, int]:
        """A value and where it ends, if what is behind it may be there."""
        value, end = self._parse(start)
        behind = self._space(end)
        char = self._text[behind : behind + 1]
        parted = behind > end or (self._text[end - 1] in "]}" and char in "[{")
        if char in ",]}\x1e\ufeff" or (parted and char in '{["-0123456789tfnNI'):
            return value, end
        raise DamageError("not JSON", f"extra data at column {behind - start + 1}")

    def _parse(self, start: int) -> tuple[Any, int]:
        """A value and where it ends; more is read until it does."""
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, start)
                if end < len(self._text) or not self._grow(start):
                    return value, end
            except RecursionError:
                raise DamageError("not JSON", "nested too deeply") from None
            except json.JSONDecodeError as error:
                message = error.msg.removesuffix(" at")
                message = f"{message} at column {error.pos - start + 1}"
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self._text) - TOKEN
                if not cut or not self._grow(start):
                    end = error.msg.startswith("Unterminated") or error.pos >= len(self._text)
                    raise DamageError("cut short" if end else "not JSON", message) from None

    def _space(self, start: int) -> int:
        """Where white space ends."""
        while True:
            match = SPACE.match(self._text, start)
            end = match.end() if match else start
            if end < len(self._text) or not self._grow(start):
                return end

    def _grow(self, start: int) -> bool:
        """Read more of what began at a character."""
        if len(self._text) - start > self._widest:
            raise DamageError("too long", f"more than {self._widest} bytes; see --longest")
        return self._read()
