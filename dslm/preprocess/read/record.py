"""Where a JSON record holds its text: a path such as ``meta.body`` or ``data[].paragraphs[]``.

A name goes into an object, ``[]`` into every element of a list. The elements of a ``[]`` that ends
the path are joined by line ends; those of one with more behind it are documents of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from dslm.files.names import alternatives
from dslm.preprocess.document import Document
from dslm.preprocess.read.source import Source

LIST = "[]"
STEP = re.compile(r"\[\]|[^.\[]+|\[")


class UnfitError(Exception):
    """A record holds no text where the path leads: the reason and a detail."""


def steps(path: str) -> list[str]:
    """The names and `LIST`s of a path.

    >>> steps("data[].paragraphs[]")
    ['data', '[]', 'paragraphs', '[]']
    """
    return STEP.findall(path)


def texts(value: Any, path: Sequence[str]) -> list[str]:
    """The texts of the documents in a record.

    Args:
        value: what JSON can hold.
        path: from `steps`.

    Raises:
        UnfitError: there is none where the path leads, or it is no text.
    """
    if not path:
        if isinstance(value, str):
            return [value]
        raise UnfitError("not text", f"found {_named(value)}")
    step, rest = path[0], path[1:]
    if step == LIST:
        if not isinstance(value, list):
            raise UnfitError("not text", f"found {_named(value)} instead of a list")
        found = [text for element in value for text in texts(element, rest)]
        return found if rest else ["\n".join(found)]
    if not isinstance(value, dict):
        raise UnfitError("not a JSON object", f"found {_named(value)}")
    if step not in value:
        raise UnfitError("no text key", f"no {step!r}; {alternatives(step, value)}")
    return texts(value[step], rest)


def documents_of(
    record: Any, path: Sequence[str], source: Source, checked: bool = True
) -> Iterator[Document]:
    """The documents in a record; what is wrong with it is reported to `source`.

    Args:
        record: what JSON can hold.
        path: from `steps`.
        source: at the record.
        checked: whether its parser would have refused half a surrogate pair.
    """
    try:
        found = texts(record, path)
    except UnfitError as unfit:
        reason, detail = unfit.args
        source.broken(reason, detail, str(record))
        return
    for text in found:
        mended = text if checked else source.whole(text)
        if mended is not None and (document := source.document(mended)):
            yield document


def _named(value: Any) -> str:
    """What JSON calls the kind of a value."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), "a number")
