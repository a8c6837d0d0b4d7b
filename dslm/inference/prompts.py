"""Prompts in which something is missing."""

from __future__ import annotations

from collections.abc import Sequence

from dslm.tokenizers.tokenizer import Tokenizer


def around_gaps(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
    """The texts between gaps, ready to be encoded.

    A space before a gap belongs to what is missing, as pieces of words begin with theirs; not so
    where tokens are characters.
    """
    if tokenizer.kind == "char":
        return list(texts)
    return [*(text.removesuffix(" ") for text in texts[:-1]), texts[-1]]
