"""The records of a stream of JSON, whatever stands between them, and what is damaged among them.

Records are the values one behind the other, those within lists, or the elements of the list to
which a path leads. Between two of them may be white space, commas, record separators (RFC 7464) and
byte order marks. One that cannot be read is reported, and reading goes on where the next one seems
to begin: at what begins as the others do, or else at what can be read and is of use. Only one
record is held at a time.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from dslm.files.json_text import DamageError, JsonText

LIST = "[]"
"""The step of a path that goes into every element of a list; the others are names."""
FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.)*")')
BEGINS = {
    "{": re.compile(r'\{\s*"|(?<=[\r\n])\{'),
    "[": re.compile(r"(?<=[,\s\[\]])\["),
    '"': re.compile(r'(?<=[,\s\[])"'),
}
"""Where a record that begins with some character may be."""
DEEPEST = 64
"""Lists within lists in which records are looked for."""
LIKE = 16
"""Records whose first keys are remembered."""
HEAD = 200
"""Characters of a record in which its first key is looked for, and that are shown of a lost one."""


class Value(NamedTuple):
    """A record."""

    value: Any
    """What JSON can hold; integers as floats."""
    text: str
    """How it is written; bytes that are no UTF-8 as `surrogateescape` has them."""
    walked: int
    """Steps of the path that led to it."""


class Lost(NamedTuple):
    """A record that cannot be read."""

    reason: str
    """`not JSON`, `cut short`, `too long` or `no text key`."""
    detail: str
    text: str
    """Its beginning."""


class JsonStream(JsonText):
    """Records one behind the other.

    Args:
        more: gives some more bytes, none at the end.
        widest: characters of the longest record.
        path: the steps to a text.
        walks: whether the elements of the path's first `LIST` are the records, if that is its
            first step or more lies behind it.
        is_fit: whether a value is of use, given the steps that led to it.
    """

    def __init__(
        self,
        more: Callable[[], bytes],
        widest: int,
        path: Sequence[str],
        walks: bool,
        is_fit: Callable[[Any, int], bool],
    ) -> None:
        super().__init__(more, widest)
        self._path, self._walks, self._is_fit = path, walks, is_fit
        first = path.index(LIST) if walks and LIST in path[:-1] else 0
        self._names = path[:first]
        self._keys: deque[str] = deque(maxlen=LIKE)
        self._within, self._found = "", 0  # the brackets that are open; records in the outermost
        self._astray = False  # whether records stand where their list has ended

    def __iter__(self) -> Iterator[Value | Lost]:
        while char := self._next():
            start = self._at
            try:
                if char in "]}":
                    self._leave(char)
                elif self._within.endswith("{"):
                    self._member()
                elif self._is_stray(char):
                    if not self._astray:
                        self._astray = True
                        detail = "records stand behind the end of their list"
                        yield Lost("not JSON", detail, self._text[start : start + HEAD])
                    yield self._record(len(self._names) + 1)
                elif self._enters(char):
                    self._found = self._found if self._within else 0
                    self._within += char
                    self._at += 1
                else:
                    yield self._record(self._walked)
                    self._found += 1
            except DamageError as damage:
                reason, detail = damage.args
                yield Lost(reason, detail, self._text[start : start + HEAD])
                self._found += 1
                if self._at == start:
                    self._to_next(reason != "too long")
        if self._within:
            yield Lost("cut short", "it ends within a list", "")

    @property
    def _walked(self) -> int:
        """The steps of the path to here."""
        if self._within.startswith("{"):
            return len(self._names) + 1
        return int((self._walks or self._within != "") and self._path[:1] == [LIST])

    @property
    def _begins(self) -> str:
        """The character with which a record should begin here."""
        rest = self._path[self._walked :]
        return '"' if not rest else "[" if rest[0] == LIST else "{"

    def _enters(self, char: str) -> bool:
        """Whether a bracket holds records, rather than is one."""
        if not self._within:
            is_list = self._walks or self._path[:1] != [LIST]
            return is_list if char == "[" else char == "{" and bool(self._names)
        return char == "[" and self._begins != "[" and len(self._within) < DEEPEST

    def _is_stray(self, char: str) -> bool:
        """Whether an object is no object around records, but one of those that belong in a list."""
        key = FIRST_KEY.match(self._text, self._at)
        if self._within or not self._names or char != "{" or not key:
            return False
        if not (key[1] in self._keys if self._keys else self._astray):
            return False
        with suppress(DamageError):
            return self._is_fit(self._whole(self._at)[0], len(self._names) + 1)
        return False

    def _leave(self, char: str) -> None:
        self._at += 1
        if self._names and not self._within and not self._astray:
            self._astray = True
            raise DamageError("not JSON", "a closing bracket without an opening one")
        if (self._within[-1:] + char) in ("[]", "{}"):
            self._within = self._within[:-1]
            if self._names and not self._within and not self._found:
                self._astray = True
                where = ".".join([*self._names]) + LIST
                raise DamageError("no text key", f"no elements at {where!r}")

    def _member(self) -> None:
        """Go into the member of an object to which the path leads, or behind another one."""
        step = len(self._within)
        key, end = self._parse(self._at)
        end = self._space(end)
        if not isinstance(key, str) or self._text[end : end + 1] != ":":
            raise DamageError("not JSON", "a member without a name")
        end = self._space(end + 1)
        opener = "[" if step == len(self._names) else "{"
        found = self._text[end : end + 1]
        if key == self._names[step - 1] and found == opener:
            self._astray = self._astray and opener == "{"
            self._within += opener
            self._at = end + 1
        elif key == self._names[step - 1] and found == "{":
            raise DamageError("no text key", f"no list at {key!r}")  # records may follow anyway
        else:
            self._at = self._whole(end)[1]

    def _record(self, walked: int) -> Value:
        start = self._at
        value, end = self._parse(start)
        if self._text[end - 1] not in "]}":  # else it is whole, whatever comes behind it
            self._whole(start)
        self._at = end
        text = self._text[start : self._at]
        if key := FIRST_KEY.match(text):
            self._keys.append(key[1])
        return Value(value, text, walked)

    def _to_next(self, looks: bool) -> None:
        """Go to where the next record seems to begin; `looks` also at those that begin otherwise.

        Within a record that is too long much can be read that is none.
        """
        own = FIRST_KEY.match(self._text, self._at)
        keys = {*self._keys, *([own[1]] if own else [])}
        if self._names:
            self._within = "{" * len(self._names) + "["
        elif self._walks and self._path[:1] == [LIST]:
            self._within = self._within or "["
        begins = BEGINS[self._begins]
        self._at += 1
        while True:
            found = begins.search(self._text, self._at)
            self._at = found.start() if found else max(self._at, len(self._text) - HEAD)
            if not found or self._at > len(self._text) - HEAD:  # its key may be cut
                self._drop(max(self._at - 1, 0))  # `begins` looks at the character before
                if self._read():
                    continue
            if not found:
                self._at, self._within = len(self._text), ""
                return
            if self._is_record(keys, looks):
                return
            self._at += 1

    def _is_record(self, keys: set[str], looks: bool) -> bool:
        """Whether a record begins here: as others do, or one that can be read and is of use."""
        key = FIRST_KEY.match(self._text, self._at)
        if key and self._names and key[1] == json.dumps(self._names[0], ensure_ascii=False):
            self._within = ""  # an object around records
            return True
        begins_line = self._is_line and self._text[self._at - 1 : self._at] in ("\n", "\r")
        if (key and key[1] in keys) or (begins_line and not self._keys) or not looks:
            return looks or bool(key and key[1] in keys)
        try:
            value, end = self._whole(self._at)
            behind = self._space(end)
        except DamageError:
            return False
        char = self._text[behind : behind + 1]
        is_inner = char == "}" or (char == "]" and not self._within)
        return not is_inner and self._is_fit(value, self._walked)
