"""All steps of cleaning, in the order in which they are taken.

A new step is a file and a line in `STEPS`: the module ``name`` beside this one defines the settings
``NameConfig`` and the step ``Name``, a `Formatter`, a `Filter` or a `WordFilter`. Its settings are
then keys of ``cleaning.name``, and its ``presets`` say which of ``--clean`` switch it on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.personal import Personal
from dslm.preprocess.clean.step import Step
from dslm.preprocess.clean.word_filter import WordFilter, WordFilters
from dslm.preprocess.document import Document, Reject, Rejected

STEPS = (
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

T = TypeVar("T")


def step_class(name: str) -> type[Step]:
    """The class of a step."""
    found: type[Step] = _defined(name, "")
    return found


def _defined(name: str, ending: str) -> Any:
    module = import_module(f"{__package__}.{name}")
    return getattr(module, name.title().replace("_", "") + ending)


def _with_a_field_for_each_step(cls: type[T]) -> type[T]:
    cls.__annotations__ = {name: _defined(name, "Config") for name in STEPS}
    for name, config in cls.__annotations__.items():
        setattr(cls, name, Field(default_factory=config))
    return cls


@dataclass(config=STRICT, frozen=True, kw_only=True)
@_with_a_field_for_each_step
class CleaningConfig:
    """What is changed in documents, and which are left out."""

    if TYPE_CHECKING:

        def __init__(self, **steps: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

    @property
    def active(self) -> list[str]:
        """The names of the steps that are switched on."""
        return [name for name in STEPS if getattr(self, name).on]


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
    steps = [step_class(name)(getattr(cleaning, name)) for name in cleaning.active]
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
    reject(Rejected(document.input, document.place, reason, text=document.text))
    return True
