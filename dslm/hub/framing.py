"""What a model asks of ``tokenizer.json``: special ids around a text, a mask, padding.

Before a prompt of a causal model stands what stood before each document, and nothing behind it. A
model of masked tokens has a frame; where the tokenizer has no mask, it gets one with the id behind
its own, which is the id that the objective used. A model of a task has the frame of its examples;
where the tokenizer has no padding, or frames texts with it, it gets one, because `transformers`
classifies the last token that is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dslm.errors import DataError, Problem
from dslm.objectives.completion import Fill
from dslm.tasks.coder import Coder
from dslm.tokenizers.frame import frame_of
from dslm.tokenizers.pair_frame import PairFrame
from dslm.tokenizers.tokenizer import Tokenizer

BEGIN, END = "<|target|>", "<|end|>"
"""What begins and ends a target, where the tokenizer has nothing for it."""
MASKS = ("[MASK]", "<mask>", "<|mask|>")
PADS = ("[PAD]", "<pad>", "<|pad|>")


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
        # A mask takes the space before it, as pieces of words do.
        _add(library, "mask", MASKS, fill.mask, spaced=tokenizer.kind != "char")
    if other:
        library.post_processor = _frame(library, begin, end, second=int(segments > 1))
    return str(library.to_str())


def paired(content: str, tokenizer: Tokenizer, frame: PairFrame, marks: Sequence[int]) -> str:
    """The content of ``tokenizer.json`` for a model that reads a source and writes a target.

    Args:
        content: the same with the tokenizer's own ids alone.
        tokenizer: what it was made of.
        frame: the ids around source and target.
        marks: those that stand for gaps.

    Raises:
        DataError: a token cannot be added under the id that the model knows.
    """
    from tokenizers import Tokenizer as Library

    library, known = Library.from_str(content), tokenizer.vocabulary
    names = {frame.begin: BEGIN, frame.end: END}
    names |= {mark: f"<extra_id_{place}>" for place, mark in enumerate(marks)}
    added = sorted(number for number in names if number >= known)
    around = frame_of(library) != (frame.before, frame.behind)
    if not added and not around:
        return content
    for number in added:
        gap = number in marks and tokenizer.kind != "char"
        _add(library, "token", [names[number]], number, spaced=gap)
    if around:
        library.post_processor = _frame(library, frame.before, frame.behind, second=0)
    return str(library.to_str())


def framed_examples(content: str, coder: Coder, segmented: bool) -> str:
    """The content of ``tokenizer.json`` for a model of a task.

    Args:
        content: the same without frame, and without padding where it has none.
        coder: what the examples were made with.
        segmented: whether a second text is of another segment.

    Raises:
        DataError: padding cannot be added.
    """
    from tokenizers import Tokenizer as Library

    library, padding = Library.from_str(content), padding_of(coder)
    if padding == coder.tokenizer.vocabulary:
        _add(library, "padding", PADS, padding)
    library.post_processor = _frame(library, coder.begin, coder.between, second=int(segmented))
    return str(library.to_str())


def padding_of(coder: Coder) -> int:
    """The id of padding that is found nowhere else: the tokenizer's, or the one behind its own."""
    own = coder.tokenizer.special.get("pad")
    free = own is not None and own not in (*coder.begin, *coder.between)
    return own if own is not None and free else coder.tokenizer.vocabulary


def _add(
    library: Any, what: str, names: Sequence[str], number: int, *, spaced: bool = False
) -> None:
    """Add a special token under the first name that is free.

    Args:
        library: the tokenizer.
        what: what it is for.
        names: what it may be called.
        number: the id that it must get.
        spaced: whether it takes the space before it.
    """
    from tokenizers import AddedToken

    name = next(name for name in names if library.token_to_id(name) is None)
    library.add_special_tokens([AddedToken(name, normalized=False, lstrip=spaced)])
    if library.token_to_id(name) != number:
        rule = f"lets no {what} be added with the id {number}, by which the model knows it"
        raise DataError(Problem("tokenizer", None, rule, f"train with a tokenizer that has {what}"))


def _frame(library: Any, before: Sequence[int], behind: Sequence[int], second: int) -> Any:
    """[CLS] A [SEP], and [CLS] A [SEP] B [SEP], as far as there are such ids."""
    from tokenizers import processors

    begin, end = ([library.id_to_token(number) for number in ids] for ids in (before, behind))
    special = [*dict(zip([*begin, *end], [*before, *behind], strict=True)).items()]
    single = [*begin, "$A", *end]
    pair = [*single, f"$B:{second}", *(f"{name}:{second}" for name in end)]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
