"""Our tokenizers as Hugging Face's ``tokenizer.json``, with the same ids.

SentencePiece writes a space as ▁; here pieces hold the space itself, so that text needs no
normalization and a ▁ in it is what it is to us: three bytes. Unigram cuts are compared by sums of
scores: ours are rounded to where the 32 bits of SentencePiece and the 64 of `tokenizers` hold the
same sums (`dslm.tokenizers.scores`). Whatever was done, the ids of hard texts are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from dslm.errors import DataError, Problem
from dslm.tokenizers.probes import PROBES
from dslm.tokenizers.sentence_piece import SPACE
from dslm.tokenizers.third_party import FILES
from dslm.tokenizers.tokenizer import MODEL, Tokenizer

HARD = (*PROBES, "a <0x41> b", *(" " * count + "x" for count in range(2, 40)))
"""Texts by which ids are compared: also a byte's name, and runs of spaces, cut in many ways."""


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """The content of ``tokenizer.json``, proved on texts made to be hard.

    Raises:
        DataError: it cannot be written so that ids stay the same.
    """
    from tokenizers import Tokenizer as Library

    if tokenizer.kind not in MAKERS:
        rule = f"a tokenizer of kind {tokenizer.kind} cannot be written as tokenizer.json"
        fix = "train with the tokenizer.json that belongs to it, or with one of ours"
        raise DataError(Problem("tokenizer", None, rule, fix))
    content = MAKERS[tokenizer.kind](tokenizer)
    library = Library.from_str(content)
    for text in _texts(tokenizer):
        theirs = library.encode(text, add_special_tokens=False).ids
        if theirs != tokenizer.encode([text])[0].tolist():
            rule = f"gives other ids as tokenizer.json for the text {text!r}"
            fix = "train the tokenizer again with this version of dslm"
            raise DataError(Problem("tokenizer", None, rule, fix))
    return content


def special_names(special: Mapping[str, int], content: str) -> dict[str, str]:
    """The special tokens by the words of ``tokenizer_config.json``, such as eos_token."""
    from tokenizers import Tokenizer as Library

    library = Library.from_str(content)
    names = {name: library.id_to_token(number) for name, number in special.items()}
    return {f"{name}_token": token for name, token in names.items() if token is not None}


def _texts(tokenizer: Tokenizer) -> list[str]:
    """Hard texts; of those for characters, what the tokenizer knows of them."""
    known = tokenizer.card.characters
    if known is None:
        return list(HARD)
    return [known, *("".join(c for c in text if c in known) for text in HARD)]


def _own(tokenizer: Tokenizer) -> str:
    """Hugging Face's own file."""
    (name,) = FILES["hugging-face"]
    return tokenizer.files[name].decode()


def _characters(tokenizer: Tokenizer) -> str:
    from tokenizers import Regex, decoders, models, pre_tokenizers
    from tokenizers import Tokenizer as Library

    ids = {character: number for number, character in enumerate(tokenizer.card.characters or "")}
    library = Library(models.WordLevel(ids))  # a character it does not know is an error, as here
    library.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    library.decoder = decoders.Fuse()
    return str(library.to_str())


def _pieces(tokenizer: Tokenizer) -> str:
    from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
    from tokenizers import Tokenizer as Library

    pieces = _Pieces(tokenizer)
    if tokenizer.kind == "bpe":
        library = Library(models.BPE(pieces.ids, pieces.merges(), byte_fallback=True))
    else:
        unknown = tokenizer.special["unk"]
        library = Library(models.Unigram(pieces.scored(), unknown, byte_fallback=True))
    if not any("<0" in name for name in pieces.text):
        # No piece holds a cut there, and uncut the name of a byte would be taken for that byte.
        byte = Regex("<(?=0x[0-9A-F]{2}>)")
        library.pre_tokenizer = pre_tokenizers.Split(byte, "merged_with_previous")
    library.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    for kind, number in tokenizer.special.items():
        # A mask stands for a piece, and pieces begin with the space before a word.
        token = AddedToken(pieces.names[number], normalized=False, lstrip=kind == "mask")
        library.add_special_tokens([token])
    return str(library.to_str())


class _Pieces:
    """The pieces of a SentencePiece model, with spaces as spaces."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        import sentencepiece

        model: Any = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.files[MODEL])
        numbers = list(range(tokenizer.vocabulary))
        self.names = [name.replace(SPACE, " ") for name in model.id_to_piece(numbers)]
        self.ids = {name: number for number, name in enumerate(self.names)}
        self.scores: list[float] = model.get_score(numbers)
        kinds = (model.is_control, model.is_unknown, model.is_byte)
        others = [any(kind(number) for kind in kinds) for number in numbers]
        self.text = {name for name, other in zip(self.names, others, strict=True) if not other}

    def scored(self) -> list[tuple[str, float]]:
        """Pieces with their scores; those that are no text cost more than all of its letters."""
        never = 8 * min(self.scores)
        return [
            (name, score if name in self.text else never)
            for name, score in zip(self.names, self.scores, strict=True)
        ]

    def merges(self) -> list[tuple[str, str]]:
        """Every pair of pieces that is a piece, the best first, as SentencePiece joins them."""
        best = sorted(self.text, key=lambda name: -self.scores[self.ids[name]])
        return list(chain.from_iterable(map(self._halves, best)))

    def _halves(self, name: str) -> Sequence[tuple[str, str]]:
        cuts = ((name[:place], name[place:]) for place in range(1, len(name)))
        return [(left, right) for left, right in cuts if left in self.text and right in self.text]


def _library(tokenizer: Tokenizer) -> str:
    from dslm.tokenizers.hugging_face import HuggingFaceTokenizer

    assert isinstance(tokenizer, HuggingFaceTokenizer)
    return tokenizer.json()


MAKERS: dict[str, Callable[[Tokenizer], str]] = {
    "unigram": _pieces,
    "bpe": _pieces,
    "char": _characters,
    "hugging-face": _own,
    "gpt2": _library,
    "bert": _library,
}
