"""All steps of cleaning, in the order in which they are taken.

Texts are repaired first, so that languages are identified and rules applied on what will be kept;
personal data is masked last, so that a placeholder counts for no rule. A new step is a file, a
field here and a line in `_steps`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.contamination import Contamination, ContaminationConfig
from dslm.preprocess.clean.controls import Controls, ControlsConfig
from dslm.preprocess.clean.language import Language, LanguageConfig
from dslm.preprocess.clean.lines import Lines, LinesConfig
from dslm.preprocess.clean.markup import Markup, MarkupConfig
from dslm.preprocess.clean.mojibake import Mojibake, MojibakeConfig
from dslm.preprocess.clean.personal.step import Personal, PersonalConfig
from dslm.preprocess.clean.quality import Quality, QualityConfig
from dslm.preprocess.clean.repetition import Repetition, RepetitionConfig
from dslm.preprocess.clean.rules import Rule, WordRules
from dslm.preprocess.clean.step import Step
from dslm.preprocess.clean.unicode import Unicode, UnicodeConfig
from dslm.preprocess.clean.whitespace import Whitespace, WhitespaceConfig
from dslm.preprocess.document import Document, Reject, Rejected


@dataclass(config=STRICT, frozen=True, kw_only=True)
class CleaningConfig:
    """What is changed in documents, and which are left out."""

    mojibake: MojibakeConfig = Field(default_factory=MojibakeConfig)
    unicode: UnicodeConfig = Field(default_factory=UnicodeConfig)
    controls: ControlsConfig = Field(default_factory=ControlsConfig)
    markup: MarkupConfig = Field(default_factory=MarkupConfig)
    whitespace: WhitespaceConfig = Field(default_factory=WhitespaceConfig)
    lines: LinesConfig = Field(default_factory=LinesConfig)
    language: LanguageConfig = Field(default_factory=LanguageConfig)
    quality: QualityConfig = Field(default_factory=QualityConfig)
    repetition: RepetitionConfig = Field(default_factory=RepetitionConfig)
    contamination: ContaminationConfig = Field(default_factory=ContaminationConfig)
    personal: PersonalConfig = Field(default_factory=PersonalConfig)

    @property
    def active(self) -> list[str]:
        """The names of the steps that are switched on."""
        return [name for name in self.__dataclass_fields__ if getattr(self, name).on]


class Cleaner:
    """The steps of a worker, made once.

    Args:
        cleaning: what is switched on.

    Raises:
        DataError: a file that a step needs cannot be read.
    """

    def __init__(self, cleaning: CleaningConfig) -> None:
        self._steps = list(_steps(cleaning))
        self._mask = Personal(cleaning.personal) if cleaning.personal.on else None

    def masked(self, reject: Reject) -> Reject:
        """The same, told of texts without personal data if these are masked in what is kept."""
        mask = self._mask
        if mask is None:
            return reject

        def told(rejected: Rejected) -> None:
            shown = Document(rejected.text)
            mask([shown], Counter())
            reject(replace(rejected, text=shown.text))

        return told

    def __call__(
        self, documents: Sequence[Document], changed: Counter[str], reject: Reject
    ) -> list[Document]:
        """The documents that are kept, their texts changed in place.

        Args:
            documents: some hundred, about a megabyte together.
            changed: where the steps count what they change.
            reject: told of each document that is left out.
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
    if cleaning.mojibake.on:
        yield Mojibake(cleaning.mojibake)
    if cleaning.unicode.on:
        yield Unicode(cleaning.unicode)
    if cleaning.controls.on:
        yield Controls(cleaning.controls)
    if cleaning.markup.on:
        yield Markup(cleaning.markup)
    if cleaning.whitespace.on:
        yield Whitespace(cleaning.whitespace)
    if cleaning.lines.on:
        yield Lines(cleaning.lines)
    if cleaning.language.on:
        yield Language(cleaning.language)
    rules: list[Rule] = []
    if cleaning.quality.on:
        rules.append(Quality(cleaning.quality))
    if cleaning.repetition.on:
        rules.append(Repetition(cleaning.repetition))
    if rules:
        yield WordRules(*rules)
    if cleaning.contamination.on:
        yield Contamination(cleaning.contamination)
    if cleaning.personal.on:
        yield Personal(cleaning.personal)


def _emptied(document: Document) -> str | None:
    return None if document.text and not document.text.isspace() else "empty"


def _left_out(document: Document, reason: str | None, reject: Reject) -> bool:
    if reason is None:
        return False
    reject(document.rejected(reason))
    return True
