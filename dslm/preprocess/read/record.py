"""Where a JSON record holds its text: a path such as ``meta.body`` or ``data[].paragraphs[]``.

A name goes into an object, ``[]`` into every element of a list. The elements of a ``[]`` that ends
the path are joined by line ends; those of one with more behind it are documents of their own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from dslm.files.json_stream import LIST, JsonStream, Lost
from dslm.files.json_text import DECODER
from dslm.files.names import alternatives, printable
from dslm.preprocess.document import Document
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.read.source import Source
from dslm.tokenizers.chat import RENDERED, conversation

CUT_SHORT = "cut short"
STEP = re.compile(r"\[\]|[^.\[]+|\[")


class Unfit(NamedTuple):
    """A record holds no text where the path leads."""

    reason: str
    detail: str


def steps(path: str) -> list[str]:
    """The names and `LIST`s of a path.

    >>> steps("data[].paragraphs[]")
    ['data', '[]', 'paragraphs', '[]']
    """
    return STEP.findall(path)


def texts(value: Any, path: Sequence[str]) -> Iterator[str | Unfit]:
    """The texts of the documents in a record, and what is wrong with those that have none.

    Args:
        value: what JSON can hold.
        path: from `steps`.
    """
    for number, step in enumerate(path):
        rest = path[number + 1 :]
        if step == LIST:
            if not isinstance(value, list):
                yield Unfit("not text", f"found {_named(value)} instead of a list")
            elif rest:
                for element in value:
                    yield from texts(element, rest)
            else:
                yield _joined(value)
            return
        if not isinstance(value, dict):
            yield Unfit("not a JSON object", f"found {_named(value)}")
            return
        if step not in value:
            yield Unfit("no text key", f"no {step!r}; {_instead(step, value, len(path))}")
            return
        value = value[step]
    yield value if isinstance(value, str) else Unfit("not text", f"found {_named(value)}")


def _instead(step: str, record: dict[str, Any], depth: int) -> str:
    """Where else the text may be: the longest one of the record, or a key that is named alike."""
    texts = {key: len(value) for key, value in record.items() if isinstance(value, str)}
    if depth == 1 and texts:
        return f"add --text-key {shlex.quote(printable(max(texts, key=lambda key: texts[key])))}"
    return alternatives(step, record)


def _joined(values: list[Any]) -> str | Unfit:
    for value in values:
        if not isinstance(value, str):
            return Unfit("not text", f"found {_named(value)}")
    return "\n".join(values)


def documents_of(
    record: Any, path: Sequence[str], source: Source, raw: str | bytes, checked: bool = True
) -> Iterator[Document]:
    """The documents in a record; what is wrong with it is reported to `source`.

    Args:
        record: what JSON can hold.
        path: from `steps`.
        source: at the record.
        raw: how it is written.
        checked: whether its parser would have refused half a surrogate pair.
    """
    try:
        chat = _chat(record) if source.reading.takes_chat else None
    except ValueError as error:
        source.broken("not text", str(error), raw)
        return
    for text in texts(record, path) if chat is None else [chat]:
        if isinstance(text, Unfit):
            source.broken(*text, raw)
            continue
        mended = text if checked else source.whole(text)
        if mended is not None and (document := source.document(mended)):
            if chat is not None:
                source.counts[RENDERED] += 1
            yield document


def _chat(record: Any) -> str | None:
    """A chat or an instruction as text; nothing for any other record.

    Raises:
        ValueError: it looks like one, but holds no text.
    """
    if not isinstance(record, dict) or ReadingConfig.text_key in record:
        return None
    return conversation(record)


def streamed(
    more: Callable[[], bytes],
    path: Sequence[str],
    source: Source,
    walks: bool,
    cut: str = CUT_SHORT,
) -> Iterator[Document | None]:
    """The documents in a stream of JSON, and `None` behind the last one of each record.

    Args:
        more: gives some more bytes, none at the end.
        path: from `steps`.
        source: at the stream.
        walks: as `JsonStream` has it.
        cut: the reason of a record that does not end.
    """

    def is_fit(value: Any, walked: int) -> bool:
        with suppress(ValueError):
            if source.reading.takes_chat and _chat(value):
                return True
        return not any(isinstance(text, Unfit) for text in texts(value, path[walked:]))

    for record in JsonStream(more, source.widest, path, walks, is_fit):
        if isinstance(record, Lost):
            reason, *detail = record
            source.broken(cut if reason == CUT_SHORT else reason, *detail)
        elif (text := _decoded(record.text, source)) is not None:
            value = record.value if text == record.text else DECODER.decode(text)
            yield from documents_of(value, path[record.walked :], source, text, checked=False)
        yield None


def _decoded(text: str, source: Source) -> str | None:
    """A text in which bytes that are no UTF-8 may be, as the user wants it."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return source.decode(text.encode("utf-8", "surrogateescape"))


def _named(value: Any) -> str:
    """What JSON calls the kind of a value."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), "a number")
