"""What a tokenizer puts around a text.

Llama's ``<s> text``, T5's ``text </s>``, BERT's ``[CLS] text [SEP]``: a tokenizer is asked for the
ids of a text with and without them. What stands before a text stands before every document of a
shard set and before every prompt; the end of a document is ours to add. A model of masked tokens
frames its rows itself, so what a tokenizer with a mask puts on both sides is left to the objective.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dslm.tokenizers.probes import PROBES

Frame = tuple[tuple[int, ...], tuple[int, ...]]
"""The ids before a text and those behind it."""

NONE: Frame = ((), ())
ENCODERS = ("[CLS]", "<cls>")
"""Names of what stands before a text in tokenizers made for models of masked tokens only."""


def frame_of(library: Any) -> Frame:
    """What a tokenizer of the `tokenizers` library puts around a text."""
    if not library.num_special_tokens_to_add(is_pair=False):
        return NONE
    for text in _texts(library):
        bare, framed = (_ids(library, text, special) for special in (False, True))
        for start in range(len(framed) - len(bare) + 1) if bare else ():
            if framed[start : start + len(bare)] == bare:
                return tuple(framed[:start]), tuple(framed[start + len(bare) :])
    return NONE


def begin_of(frame: Frame, names: list[str], special: Mapping[str, int]) -> tuple[int, ...]:
    """What stands before a document.

    Args:
        frame: what the tokenizer puts around a text.
        names: what it calls the ids before the text.
        special: the special ids by our names.
    """
    before, behind = frame
    encoder = "mask" in special or any(name in ENCODERS for name in names)
    return () if behind and encoder else before


def _texts(library: Any) -> Iterator[str]:
    """Texts, one of which a tokenizer has ids for."""
    yield from PROBES
    for number in range(library.get_vocab_size()):
        yield library.decode([number])


def _ids(library: Any, text: str, special: bool) -> list[int]:
    try:
        ids: list[int] = library.encode(text, add_special_tokens=special).ids
    except Exception:  # it knows no such character; the library raises nothing narrower
        return []
    return ids
