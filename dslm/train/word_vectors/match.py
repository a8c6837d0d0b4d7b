"""Which word's vector each id of a tokenizer gets.

The path of an id: the text that it adds to a text (`piece_texts`) gives the words that may stand
for it, best first; the file is read once for the words of all ids; each id takes the first of its
words that was found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array
from dslm.errors import DataError, Problem
from dslm.progress import Advance
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import piece_texts
from dslm.train.word_vectors.file import VectorFile, read_vectors

BEGINS = ("▁", "Ġ")
"""How SentencePiece and GPT-2 write that a piece begins a word, in vectors made of their pieces."""
GOES_ON = ("##",)
"""How BERT writes that it does not."""
UNKNOWN = "\ufffd"
"""In the text of an id that is part of a character."""


@dataclass(frozen=True)
class Matched:
    """The ids that have a vector."""

    ids: Int64Array
    """In ascending order."""
    rows: npt.NDArray[np.float32]
    """The vector of each as in the file, [ids, width]."""
    words: int
    """Words of the file."""
    repeated: int
    """Of these, lines whose word already had a vector."""


def match(file: VectorFile, tokenizer: Tokenizer, advance: Advance | None = None) -> Matched:
    """Read the vectors of a tokenizer's ids; special ids and those without a vector are left out.

    Args:
        file: from `open_vectors`.
        tokenizer: whose ids.
        advance: as for `read_vectors`.

    Raises:
        DataError: as `read_vectors`; or no id has a vector.
    """
    special = set(tokenizer.special.values())
    names = [
        [] if number in special else words_for(text)
        for number, text in enumerate(piece_texts(tokenizer))
    ]
    found = read_vectors(file, {name for some in names for name in some}, advance)
    chosen = [next((name for name in some if name in found.rows), None) for some in names]
    pairs = [(number, found.rows[name]) for number, name in enumerate(chosen) if name is not None]
    if not pairs:
        text = next((some[-1] for some in names if some), "")
        rule = f"none of its {found.words:,} words is a piece of the tokenizer, such as {text!r}"
        fix = "use vectors of the language of the text"
        raise DataError(Problem(str(file.path), None, rule, fix))
    ids, rows = zip(*pairs, strict=True)
    return Matched(np.array(ids, np.int64), np.stack(rows), found.words, found.repeated)


def words_for(text: str) -> list[str]:
    """The words whose vector may stand for a piece of text, best first.

    The piece as tokenizers write it, for vectors that were made of pieces; the text alone; then
    both in lower case. A piece that begins a word has a space before it.
    """
    bare = text.strip()
    if not bare or UNKNOWN in bare:
        return []
    marks = BEGINS if text[0].isspace() else GOES_ON
    forms = dict.fromkeys((bare, bare.lower()))
    return [mark + form for form in forms for mark in (*marks, "")]
