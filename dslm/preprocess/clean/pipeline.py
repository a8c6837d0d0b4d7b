"""All steps of cleaning, in the order in which they are taken.

A new step is a file and a line in `NAMES`: the module ``name`` beside this one defines the settings
``NameConfig`` and the step ``Name``, a `Formatter`, a `Filter` or a `WordFilter`. Its settings are
then keys of ``cleaning.name``, and its ``presets`` say which of ``--clean`` switch it on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.config.table import class_of, with_fields
from dslm.preprocess.clean.personal import Personal
from dslm.preprocess.clean.step import Step
from dslm.preprocess.clean.word_filter import WordFilter, WordFilters
from dslm.preprocess.document import Document, Reject

NAMES = (
    "mojibake",  # texts are repaired first, so that the filters see what will be kept
    "unicode",
    "controls",
    "markup",
    "whitespace",
    "lines",
    "language",
    "quality",
    "repetition",
    "contamination",
    "personal",  # last, so that a placeholder counts for no filter
)

STEPS: dict[str, type[Step]] = {name: class_of(__package__, name) for name in NAMES}


def _settings(name: str) -> tuple[type[Any], Any]:
    config = class_of(__package__, name, "Config")
    return config, Field(default_factory=config)


@dataclass(config=STRICT, frozen=True, kw_only=True)
@with_fields({name: _settings(name) for name in NAMES})
class CleaningConfig:
    """What is changed in documents, and which are left out."""

    if TYPE_CHECKING:

        def __init__(self, **steps: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

    @property
    def active(self) -> list[str]:
        """The names of the steps that are switched on."""
        return [name for name in NAMES if getattr(self, name).on]


class Cleaner:
    """The steps of a worker, made once.

    Args:
        cleaning: what is switched on.

    Raises:
        DataError: a file that a step needs cannot be read.
    """

    def __init__(self, cleaning: CleaningConfig) -> None:
        self._steps = list(_steps(cleaning))
        self._personal = Personal(cleaning.personal) if cleaning.personal.on else None

    def masked(self, reject: Reject) -> Reject:
        """The same, called with texts without personal data if these are masked in what is kept."""
        personal = self._personal
        if personal is None:
            return reject
        return lambda one: reject(replace(one, text=personal.format(one.text)))

    def __call__(
        self, documents: Sequence[Document], changed: Counter[str], reject: Reject
    ) -> list[Document]:
        """The documents that are kept, their texts changed in place.

        Args:
            documents: some hundred, about a megabyte together.
            changed: where the steps count what they change.
            reject: called with each document that is left out.
        """
        kept = list(documents)
        for step in self._steps:
            reasons = step(kept, changed)
            kept = [
                document
                for document, reason in zip(kept, reasons, strict=True)
                if not _left_out(document, reason, reject)
            ]
        return [d for d in kept if not _left_out(d, _emptied(d), reject)]


def _steps(cleaning: CleaningConfig) -> Iterator[Step]:
    steps = [STEPS[name](getattr(cleaning, name)) for name in cleaning.active]
    for kind, group in groupby(steps, lambda step: isinstance(step, WordFilter)):
        if kind:
            yield WordFilters([step for step in group if isinstance(step, WordFilter)])
        else:
            yield from group


def _emptied(document: Document) -> str | None:
    return None if document.text and not document.text.isspace() else "empty"


def _left_out(document: Document, reason: str | None, reject: Reject) -> bool:
    if reason is None:
        return False
    reject(document.rejected(reason))
    return True
