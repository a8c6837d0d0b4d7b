"""Records of a source and a target, or of a chat, as ids: what is read, and what is learned.

A source stands in a prompt, a text with names of fields in braces. What is longer than the model
reads is cut by whole characters, so that a source is read as if it had been given that short; of a
chat the oldest turns go first. A target is never cut.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from dslm.tasks.coder import Coder
from dslm.tasks.example import Example, Record, UnusableError, field_of, text_of
from dslm.tasks.template import fill
from dslm.tasks.text_to_text_settings import TextToTextConfig
from dslm.tokenizers.chat import Turn, speaker, turns_of
from dslm.tokenizers.chat_template import ANSWERS, ChatTemplate, Piece
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import Vocabulary

SYSTEM = "System"
"""Who is not left out when the oldest turns are, as `speaker` says it."""
TOO_LONG = "its target leaves no room for a source"


class Renderer:
    """How records become examples.

    Args:
        settings: of the task.
        coder: of the model.
    """

    def __init__(self, settings: TextToTextConfig, coder: Coder) -> None:
        self._settings, self._coder = settings, coder
        self._tokenizer = coder.tokenizer
        self._frame = Vocabulary.of(coder.tokenizer.card, Path()).frame
        self._one_text = not (coder.two_stacks or settings.prefix)
        self._chat = ChatTemplate(coder.tokenizer)

    def pair(self, record: Record) -> Example:
        """The example of a record with a source and a target.

        Raises:
            UnusableError: it lacks one of them, or its target is too long.
        """
        settings, coder = self._settings, self._coder
        text, targets = text_of(record, settings.source), _texts_of(record, settings.target)
        target = coder.ids(targets[0])
        if not target:
            raise UnusableError(f"its {settings.target} is empty")

        def ids_of(source: str) -> list[int]:
            fields = {**record, settings.source: source}
            return asked(settings, self._tokenizer, fields, self._one_text)

        read, cut = fitted(ids_of, text, self._room(len(target)), settings.cut or "end")
        end = _end(self._tokenizer) if self._one_text else []
        labels = [len(read), len(read) + len(target) + len(end)]
        reference = [{"source": text, "targets": targets}]
        return self._example([*read, *target, *end], labels, cut, reference)

    def chat(self, record: Record) -> list[Example]:
        """The examples of a chat.

        One for all answers, where the model reads one text from its beginning; else one for each.

        Raises:
            UnusableError: it is no chat, has no answer, or an answer is too long.
        """
        try:
            turns = turns_of(record)
            if turns is None:
                raise UnusableError("is no chat")
            while turns and speaker(turns[-1][0]) != ANSWERS:
                del turns[-1]  # nobody has answered
            if not turns:
                raise UnusableError("holds no answer")
            if self._one_text and (whole := self._whole(turns)):
                return [whole]
            places = [n for n, (role, _) in enumerate(turns) if speaker(role) == ANSWERS]
            return [self._answer(turns[:place], turns[place]) for place in places]
        except UnusableError:
            raise
        except ValueError as cause:
            raise UnusableError(str(cause)) from None

    def _whole(self, turns: list[Turn]) -> Example | None:
        """All answers of a chat, of whose oldest turns as many are left out as have no room."""
        cut, most = False, self._coder.sequence + 1
        while (pieces := self._chat.pieces(turns)) and _size(pieces) > most:
            shorter = _without_oldest(turns)
            if shorter is None:
                return None  # a single answer, of whose question a part may have room
            turns, cut = shorter, True
        if not pieces:
            return None
        ids, labels = list[int](), list[int]()
        for read, learned in pieces:
            labels += [len(ids) + len(read), len(ids) + len(read) + len(learned)]
            ids += [*read, *learned]
        places = [n for n, (role, _) in enumerate(turns) if speaker(role) == ANSWERS]
        reference = [_reference(turns[:place], turns[place][1]) for place in places]
        return self._example(ids, labels, cut, reference)

    def _answer(self, turns: Sequence[Turn], answer: Turn) -> Example:
        """One answer, the oldest turns before it and then a part of the last left out."""
        whole = [*turns, answer]
        learned = self._chat.answered(whole) if self._one_text else self._coder.ids(answer[1])
        room, kept = self._room(len(learned) - self._one_text), list(turns)
        while len(self._chat.asked(kept)) > room and (shorter := _without_oldest(kept)):
            kept = shorter
        read, cut = self._chat.asked(kept), len(kept) < len(turns)
        if len(read) > room and kept:
            *before, (role, text) = kept

            def ids_of(source: str) -> list[int]:
                return self._chat.asked([*before, (role, source)])

            read, cut = fitted(ids_of, text, room, self._settings.cut or "beginning")
        labels = [len(read), len(read) + len(learned)]
        return self._example([*read, *learned], labels, cut, [_reference(turns, answer[1])])

    def _example(
        self, ids: list[int], labels: list[int], cut: bool, reference: list[dict[str, Any]]
    ) -> Example:
        texts = [f"{one['source']}\n{one['targets'][0]}" for one in reference]
        return Example(ids, [*map(float, labels)], "\n".join(texts), cut, reference)

    def _room(self, target: int) -> int:
        """How many ids a source may have whose target has so many.

        Raises:
            UnusableError: there is no room for the target.
        """
        sequence, frame = self._coder.sequence, self._frame
        if self._one_text:
            return sequence - target  # and the end, which is not read
        left = sequence - frame.around_target - target
        if self._coder.two_stacks and left < 0:
            raise UnusableError("its target is longer than the model writes")
        return (sequence if self._coder.two_stacks else left) - frame.around_source


@lru_cache(maxsize=4)
def renderer(settings: TextToTextConfig, coder: Coder) -> Renderer:
    """The one of some settings and a model; it reads a chat template once."""
    return Renderer(settings, coder)


def asked(
    settings: TextToTextConfig, tokenizer: Tokenizer, record: Record, one_text: bool
) -> list[int]:
    """The ids that are read of a record with a source.

    Args:
        settings: of the task.
        tokenizer: of the model.
        record: the source, and whatever else the prompt names.
        one_text: whether the target follows in the same text.

    Raises:
        UnusableError: it lacks a field that the prompt names.
    """
    prompt = fill(settings.prompt, {**record, "source": text_of(record, settings.source)})
    between = settings.between if one_text else ""
    ids = [*tokenizer.begin, *tokenizer.encode([prompt + (between or "")])[0].tolist()]
    return [*ids, *_end(tokenizer)] if between is None else ids


def fitted(
    ids_of: Callable[[str], list[int]], text: str, room: int, side: str
) -> tuple[list[int], bool]:
    """The ids of a text or, where there is no room for them, of as much of it as there is room for.

    Args:
        ids_of: the ids of a text, with all that is around it.
        text: the text.
        room: how many ids there may be.
        side: where the text is cut, at its ``end`` or its ``beginning``.

    Returns:
        The ids, and whether the text was cut.

    Raises:
        UnusableError: not even one character has room.
    """
    ids = ids_of(text)
    if len(ids) <= room:
        return ids, False

    def kept(size: int) -> str:
        return text[:size] if side == "end" else text[len(text) - size :]

    blank = len(text) - len(text.lstrip() if side == "end" else text.rstrip())
    sizes = range(blank + 1, len(text))  # what is blank is no source
    size = blank + bisect_left(sizes, True, key=lambda one: len(ids_of(kept(one))) > room)
    while size > blank and len(ids := ids_of(kept(size))) > room:
        size -= 1  # a longer text may have fewer ids
    if size <= blank:
        raise UnusableError(TOO_LONG)
    return ids, True


def _texts_of(record: Record, key: str) -> list[str]:
    """The targets of a record, one or several."""
    value = field_of(record, key)
    if not isinstance(value, (list, tuple)):
        return [text_of(record, key)]
    if not value:
        raise UnusableError(f"its {key} is empty")
    return [text_of({key: one}, key) for one in value]


def _end(tokenizer: Tokenizer) -> list[int]:
    """What ends a document; a run is refused whose tokenizer has nothing for that."""
    return [] if tokenizer.end_of_document is None else [tokenizer.end_of_document]


def _size(pieces: Sequence[Piece]) -> int:
    return sum(len(read) + len(learned) for read, learned in pieces)


def _without_oldest(turns: Sequence[Turn]) -> list[Turn] | None:
    """The turns behind the first answer, and what the system says; `None` where there are none."""
    system = [turn for turn in turns[:1] if speaker(turn[0]) == SYSTEM]
    answers = (n for n, (role, _) in enumerate(turns) if speaker(role) == ANSWERS)
    first = next(answers, len(turns) - 1)
    return [*system, *turns[first + 1 :]] if turns[first + 1 :] else None


def _reference(turns: Sequence[Turn], answer: str) -> dict[str, Any]:
    """A chat and its answer, with which another is compared."""
    source = [{"role": role, "content": text} for role, text in turns]
    return {"source": source, "targets": [answer]}
