"""What a model asks of ``tokenizer.json``: around a text the special ids of training, and a mask.

Before a prompt of a causal model stands what stood before each document, and nothing behind it. A
model of masked tokens has a frame; where the tokenizer has no mask, it gets one with the id behind
its own, which is the id that the objective used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dslm.errors import DataError, Problem
from dslm.objectives.completion import Fill
from dslm.tokenizers.frame import frame_of
from dslm.tokenizers.tokenizer import Tokenizer

MASKS = ("[MASK]", "<mask>", "<|mask|>")


def begun(content: str, begin: Sequence[int]) -> str:
    """The content of ``tokenizer.json`` for a causal model, whose texts begin with some ids."""
    from tokenizers import Tokenizer as Library

    library = Library.from_str(content)
    if frame_of(library) == (tuple(begin), ()):
        return content
    library.post_processor = _frame(library, begin, [], second=0)
    return str(library.to_str())


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
    begin, end = ([] if number is None else [number] for number in (fill.begin, fill.end))
    other = bool(begin) and frame_of(library) != (tuple(begin), tuple(end))
    added = "mask" not in tokenizer.special
    if not (other or added):
        return content
    if added:
        _add_mask(library, fill.mask, alone=tokenizer.kind == "char")
    if other:
        library.post_processor = _frame(library, begin, end, second=int(segments > 1))
    return str(library.to_str())


def _add_mask(library: Any, number: int, alone: bool) -> None:
    """Add a mask, which takes the space before it as pieces of words do."""
    from tokenizers import AddedToken

    name = next(name for name in MASKS if library.token_to_id(name) is None)
    library.add_special_tokens([AddedToken(name, normalized=False, lstrip=not alone)])
    if library.token_to_id(name) != number:
        rule = f"lets no mask be added with the id {number}, by which the model knows it"
        raise DataError(Problem("tokenizer", None, rule, "train with a tokenizer that has a mask"))


def _frame(library: Any, before: Sequence[int], behind: Sequence[int], second: int) -> Any:
    """[CLS] A [SEP], and [CLS] A [SEP] B [SEP], as far as there are such ids."""
    from tokenizers import processors

    begin, end = ([library.id_to_token(number) for number in ids] for ids in (before, behind))
    special = [*dict(zip([*begin, *end], [*before, *behind], strict=True)).items()]
    single = [*begin, "$A", *end]
    pair = [*single, f"$B:{second}", *(f"{name}:{second}" for name in end)]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
