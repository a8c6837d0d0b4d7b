"""What a model of masked tokens asks of ``tokenizer.json``: a mask, and special ids around texts.

A tokenizer that has no mask gets one with the id behind its own, which is the id that the objective
used. What is put around a text is what was around one in training, unless the tokenizer has a
frame of its own.
"""

from __future__ import annotations

from typing import Any

from dslm.errors import DataError, Problem
from dslm.objectives.completion import Fill
from dslm.tokenizers.tokenizer import Tokenizer

MASKS = ("[MASK]", "<mask>", "<|mask|>")


def framed(content: str, tokenizer: Tokenizer, fill: Fill, segments: int) -> str:
    """The content of ``tokenizer.json`` for a model of masked tokens.

    Args:
        content: the same without mask and frame.
        tokenizer: what it was made of.
        fill: the mask, and what surrounds a text.
        segments: how many kinds of segments the model knows.

    Raises:
        DataError: a mask cannot be added under the id that the model knows.
    """
    from tokenizers import Tokenizer as Library

    library = Library.from_str(content)
    bare = fill.begin is not None and not library.num_special_tokens_to_add(is_pair=False)
    added = "mask" not in tokenizer.special
    if not (bare or added):
        return content
    if added:
        _add_mask(library, fill.mask, alone=tokenizer.kind == "char")
    if bare:
        library.post_processor = _frame(library, fill, second=int(segments > 1))
    return str(library.to_str())


def _add_mask(library: Any, number: int, alone: bool) -> None:
    """Add a mask, which takes the space before it as pieces of words do."""
    from tokenizers import AddedToken

    name = next(name for name in MASKS if library.token_to_id(name) is None)
    library.add_special_tokens([AddedToken(name, normalized=False, lstrip=not alone)])
    if library.token_to_id(name) != number:
        rule = f"lets no mask be added with the id {number}, by which the model knows it"
        raise DataError(Problem("tokenizer", None, rule, "train with a tokenizer that has a mask"))


def _frame(library: Any, fill: Fill, second: int) -> Any:
    """[CLS] A [SEP], and [CLS] A [SEP] B [SEP], as far as there are such ids."""
    from tokenizers import processors

    begin, end = (
        [] if number is None else [library.id_to_token(number)] for number in (fill.begin, fill.end)
    )
    special = [(name, library.token_to_id(name)) for name in dict.fromkeys([*begin, *end])]
    single = [*begin, "$A", *end]
    pair = [*single, f"$B:{second}", *(f"{name}:{second}" for name in end)]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
