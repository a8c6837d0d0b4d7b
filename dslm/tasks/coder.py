"""Texts to the ids of an example."""

from __future__ import annotations

from collections.abc import Sequence

from dslm.errors import DataError
from dslm.tasks.example import Record, UnusableError
from dslm.tokenizers.tokenizer import Tokenizer


class Coder:
    """Texts to the ids of an example, framed as the model has learned it.

    Args:
        tokenizer: makes the ids.
        full: whether a token sees those behind it.
        sequence: tokens that the model reads at most.
        shots: solved records that are put before each, where a task takes any.
        two_stacks: whether an encoder reads a source and a decoder writes a target.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        full: bool,
        sequence: int,
        shots: Sequence[Record] = (),
        two_stacks: bool = False,
    ) -> None:
        self.tokenizer, self.full = tokenizer, full
        self.sequence, self.shots = sequence, shots
        self.two_stacks = two_stacks
        special = tokenizer.special
        framed = full and {"cls", "sep"} <= special.keys()
        self.begin = [special["cls"]] if framed else list(tokenizer.begin)
        end = special["sep"] if framed else special.get("eos", special.get("sep"))
        self.between = [] if end is None else [end]
        """Behind each text."""

    def ids(self, text: str) -> list[int]:
        """The ids of a text alone.

        Raises:
            UnusableError: it holds what the tokenizer has no ids for.
        """
        try:
            found: list[int] = self.tokenizer.encode([text])[0].tolist()
        except DataError as error:
            problem = error.problems[0]
            raise UnusableError(f"{problem.where} {problem.rule}") from None
        return found

    def framed(self, texts: Sequence[list[int]]) -> tuple[list[int], bool]:
        """Texts between the ids that frame them, and whether any had to be cut.

        The longer of two texts is cut first, as for BERT's pairs.
        """
        room = self.sequence - len(self.begin) - len(self.between) * len(texts)
        sizes = [*map(len, texts)]
        while sum(sizes) > room:
            longest = sizes.index(max(sizes))
            others = sorted(sizes)[-2:-1] or [0]
            sizes[longest] -= max(1, min(sum(sizes) - room, sizes[longest] - others[0]))
        cut = sizes != [*map(len, texts)]
        parts = [[*text[:size], *self.between] for text, size in zip(texts, sizes, strict=True)]
        return [*self.begin, *(one for part in parts for one in part)], cut
