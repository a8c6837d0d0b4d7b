"""What the user of ``shard`` gives as ``--clean PRESET`` and ``key=value`` words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.overrides import merge, parse_words
from dslm.config.parse import STRICT, parse
from dslm.errors import ConfigError, Problem
from dslm.preprocess.clean.pipeline import CleaningConfig
from dslm.preprocess.clean.presets import PRESETS
from dslm.preprocess.deduplicate.settings import Duplicates

ANYWAY = ("documents", "paragraphs", "paragraph_characters")
"""Settings of duplicates that do not depend on ``near``."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class PreprocessingConfig:
    """What is given as ``key=value``."""

    cleaning: CleaningConfig = Field(default_factory=CleaningConfig)
    """What is changed in documents, and which are left out."""
    duplicates: Duplicates = Field(default_factory=Duplicates)
    """Which repeated texts are left out."""

    @classmethod
    def read(cls, preset: str, words: Iterable[str]) -> PreprocessingConfig:
        """The settings of ``--clean``, and over them those of ``key=value`` words.

        Raises:
            ConfigError: with all that is wrong in the words, also those without effect.
        """
        chosen = parse(cls, merge(PRESETS[preset](), parse_words(words)))
        if problems := chosen.check():
            raise ConfigError(*problems)
        return chosen

    def check(self) -> list[Problem]:
        """The settings of steps that are switched off: whoever gave them meant something."""
        off = {
            f"cleaning.{name}": (getattr(self.cleaning, name), "on")
            for name in set(self.cleaning.__dataclass_fields__) - set(self.cleaning.active)
        }
        if not self.duplicates.near:
            off["duplicates"] = (self.duplicates, "near")
        return [
            Problem(
                f"{group}.{key}",
                value,
                f"has no effect: {group}.{switch} is false",
                f"add {group}.{switch}=true",
            )
            for group, (settings, switch) in sorted(off.items())
            for key, value in asdict(settings).items()
            if key not in ANYWAY and value != getattr(type(settings)(), key)
        ]
