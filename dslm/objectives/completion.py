"""The ways to complete a prompt: an objective names one, `dslm.inference` carries it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Continue:
    """The prompt goes on, token by token."""

    example = '"The" --max-new-tokens 100'
    """What to type behind ``--prompt`` for a first try."""


@dataclass(frozen=True)
class Fill:
    """Each mask of the prompt becomes the likeliest token there, all masks at once."""

    mask: int
    begin: int | None = None
    """What comes before a text, if anything."""
    end: int | None = None
    """What comes behind a text, if anything."""
    example = '"The <mask>"'


@dataclass(frozen=True)
class Restore:
    """The prompt is the source of a target, which is written token by token.

    A row is [source] begin [target] end; the source is seen whole, the rest causally. Of two stacks
    the first reads the source, the second all behind it.
    """

    frame: PairFrame
    """The ids around source and target."""
    size: int
    """Ids from here on are never written."""
    longest: int
    """Tokens of a source at most, those around it included."""
    marks: tuple[int, ...]
    """What the gaps of a prompt become, the last for all further ones; none = no gaps."""
    in_place: bool
    """Whether the target holds only what is missing, each piece behind the mark of its gap."""
    two_stacks: bool = False
    free: bool = False
    """Whether a prompt may also be a text without gaps, of which another one is written."""
    one_text: bool = False
    """Whether one stack reads source and target as one text: nothing of `frame` stands between
    them, and no token sees those behind it."""
    source: Callable[[Tokenizer, str], list[int]] | None = None
    """What is read of a prompt that is no damaged text but the source of another."""

    @property
    def example(self) -> str:
        """What to type for a first try."""
        return '"The <mask>"' if self.marks else '"The"'


Completion: TypeAlias = Continue | Fill | Restore
