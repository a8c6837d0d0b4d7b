"""Chats as ids, in pieces: what is read, and what is learned to be answered.

A tokenizer that came with a chat template renders them by it, in Jinja's sandbox, with the ids that
`transformers` gives: there the name of a special token is that token. Else turns are rendered as
`chat` renders them for pretraining, with the end of a document behind each answer, if there is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property

from dslm.tokenizers.chat import BETWEEN, Turn, speaker
from dslm.tokenizers.tokenizer import Tokenizer

ANSWERS = "Assistant"
"""Who answers, as `speaker` says it."""
SHORTEST = [("user", "a"), ("assistant", "b")]
"""A chat by which it is seen how answers end."""

Parts = list["str | int"]
"""Text, and ids that stand for none."""
Piece = tuple[list[int], list[int]]
"""What is read, and what is learned behind it."""


class ChatTemplate:
    """How a tokenizer renders chats.

    Args:
        tokenizer: whose chat template, if it has one, is used.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._own = tokenizer.card.chat_template

    @cached_property
    def end(self) -> int | None:
        """The id that ends an answer, if there is one.

        Raises:
            ValueError: the template cannot be used.
        """
        before = self._parts(SHORTEST[:1], answering=True)
        answer = _behind(self._parts(SHORTEST, answering=False), before) or []
        ends = [part for part in answer if isinstance(part, int)]
        return ends[-1] if ends else self._tokenizer.end_of_document

    def asked(self, turns: Sequence[Turn]) -> list[int]:
        """The ids behind which the answer to some turns is written.

        Raises:
            ValueError: the template cannot be used, or refuses the chat.
        """
        return self._ids(self._parts(turns, answering=True), first=True)

    def pieces(self, turns: Sequence[Turn]) -> list[Piece] | None:
        """A whole chat, a piece for each answer, which ends with `end`.

        Returns:
            The pieces, one behind the other; nothing where the template renders the beginning of a
            chat otherwise when more follows.

        Raises:
            ValueError: the template cannot be used, or refuses the chat.
        """
        found, done = list[Piece](), Parts()
        for number, (role, _) in enumerate(turns):
            if speaker(role) != ANSWERS:
                continue
            asked = self._parts(turns[:number], answering=True)
            read, learned = _behind(asked, done), self._learned(turns[: number + 1], asked)
            if read is None or learned is None:
                return None
            done = _joined([*asked, *learned])
            found.append((self._ids(read, first=not found), self._ids(self._ended(learned))))
        return found

    def answered(self, turns: Sequence[Turn]) -> list[int]:
        """What is learned of the last of some turns, an answer: its ids and `end`.

        Raises:
            ValueError: the template cannot be used, or refuses the chat.
        """
        learned = self._learned(turns, self._parts(turns[:-1], answering=True))
        return self._ids(self._ended([turns[-1][1]] if learned is None else learned))

    def _learned(self, turns: Sequence[Turn], asked: Parts) -> Parts | None:
        """What stands behind a question, up to what ends an answer, if it has an end."""
        found = _behind(self._parts(turns, answering=False), asked)
        ends = [place for place, part in enumerate(found or []) if part == self.end]
        return found[: ends[-1] + 1] if found and ends else found

    def _ended(self, learned: Parts) -> Parts:
        """The same with an end."""
        end = self.end
        return learned if end is None or learned[-1:] == [end] else [*learned, end]

    def _parts(self, turns: Sequence[Turn], *, answering: bool) -> Parts:
        """Some turns and, if one is to be given, the beginning of an answer."""
        if self._own is not None:
            return self._by_template(turns, answering)
        end, parts = self._tokenizer.end_of_document, Parts()
        for role, text in turns:
            between = BETWEEN if parts else ""
            parts += [f"{between}{speaker(role)}: {text}"]
            parts += [end] if speaker(role) == ANSWERS and end is not None else []
        if answering:
            parts.append(f"{BETWEEN if parts else ''}{ANSWERS}:")
        return _joined(parts)

    def _by_template(self, turns: Sequence[Turn], answering: bool) -> Parts:
        from dslm.tokenizers.chat_jinja import rendered

        names = {number: name for name, number in self._special.items()}
        special = self._tokenizer.special.items()
        words = {f"{key}_token": names[number] for key, number in special if number in names}
        messages = [
            {"role": {"human": "user"}.get(role, _role(role)), "content": text}
            for role, text in turns
        ]
        text = rendered(str(self._own), messages, add_generation_prompt=answering, **words)
        if not self._special:
            return [text]
        longest_first = sorted(map(re.escape, self._special), key=len, reverse=True)
        pieces = re.split(f"({'|'.join(longest_first)})", text)
        return [self._special.get(piece, piece) for piece in pieces if piece]

    @cached_property
    def _special(self) -> dict[str, int]:
        """The ids of special tokens by their names."""
        added = json.loads(self._tokenizer.tokenizer_json()).get("added_tokens", [])
        return {one["content"]: int(one["id"]) for one in added}

    def _ids(self, parts: Parts, *, first: bool = False) -> list[int]:
        """The ids of parts; a template says itself with what a chat begins."""
        begin = self._tokenizer.begin if first and self._own is None else ()
        texts = self._tokenizer.encode([part for part in parts if isinstance(part, str)])
        encoded = iter(texts)
        ids = [next(encoded).tolist() if isinstance(part, str) else [part] for part in parts]
        return [*begin, *(number for some in ids for number in some)]


def _role(role: str) -> str:
    """A role by the name that templates know."""
    return "assistant" if speaker(role) == ANSWERS else role


def _joined(parts: Sequence[str | int]) -> Parts:
    """The same, texts that follow each other as one."""
    made = Parts()
    for part in parts:
        if isinstance(part, str) and made and isinstance(made[-1], str):
            made[-1] += part
        else:
            made.append(part)
    return made


def _behind(whole: Parts, begin: Parts) -> Parts | None:
    """What stands behind a beginning; `None` where it begins otherwise."""
    if not begin:
        return whole
    *first, last = begin
    if whole[: len(first)] != first or len(whole) <= len(first):
        return None
    there = whole[len(first)]
    if there == last:
        return whole[len(begin) :]
    if not (isinstance(last, str) and isinstance(there, str) and there.startswith(last)):
        return None
    return [there[len(last) :], *whole[len(begin) :]]
