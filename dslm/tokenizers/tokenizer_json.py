"""Our tokenizers as Hugging Face's ``tokenizer.json``, with the same ids.

SentencePiece writes a space as ▁; here pieces hold the space itself, so that text needs no
normalization and a ▁ in it is what it is to us: three bytes. Unigram cuts are compared by sums of
scores: ours are rounded to where the 32 bits of SentencePiece and the 64 of `tokenizers` hold the
same sums (`dslm.tokenizers.scores`). In any case the ids of hard texts are compared.

One difference remains, which no file can express: the name of a special token within a text is that
token to `transformers`, unless called with ``split_special_tokens=True``. To us it is text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain

from dslm.errors import DataError, Problem
from dslm.tokenizers.probes import PROBES

HARD = (*PROBES, "a <0x41> b", *(" " * count + "x" for count in range(2, 40)))
"""Texts by which ids are compared: also a byte's name, and runs of spaces, cut in many ways."""


def prove(content: str, ids: Callable[[str], list[int]], known: str | None) -> None:
    """Compare the ids of hard texts.

    Args:
        content: of ``tokenizer.json``.
        ids: our ids of a text.
        known: the characters that have ids, where others have none.

    Raises:
        DataError: they differ.
    """
    from tokenizers import Tokenizer as Library

    library = Library.from_str(content)
    texts = HARD
    if known is not None:
        texts = (known, *("".join(c for c in text if c in known) for text in HARD))
    for text in texts:
        if library.encode(text, add_special_tokens=False).ids != ids(text):
            rule = f"gives other ids as tokenizer.json for the text {text!r}"
            fix = "train the tokenizer again with this version of dslm"
            raise DataError(Problem("tokenizer", None, rule, fix))


def special_names(special: Mapping[str, int], content: str) -> dict[str, str]:
    """The special tokens by the words of ``tokenizer_config.json``, such as eos_token."""
    from tokenizers import Tokenizer as Library

    library = Library.from_str(content)
    names = {name: library.id_to_token(number) for name, number in special.items()}
    return {f"{name}_token": token for name, token in names.items() if token is not None}


def characters_json(characters: str) -> str:
    """A character tokenizer as ``tokenizer.json``."""
    from tokenizers import Regex, decoders, models, pre_tokenizers
    from tokenizers import Tokenizer as Library

    ids = {character: number for number, character in enumerate(characters)}
    library = Library(models.WordLevel(ids))  # a character it does not know is an error, as here
    library.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    library.decoder = decoders.Fuse()
    return str(library.to_str())


@dataclass(frozen=True)
class Pieces:
    """The pieces of a SentencePiece model of ours, with spaces as spaces."""

    names: Sequence[str]
    scores: Sequence[float]
    text: Set[str]
    """Those that stand for text: no special token, no single byte."""

    def json(self, kind: str, special: Mapping[str, int]) -> str:
        """The model, bpe or unigram, as ``tokenizer.json`` with special ids by name."""
        from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Library

        if kind == "bpe":
            library = Library(models.BPE(self._ids(), self._merges(), byte_fallback=True))
        else:
            library = Library(models.Unigram(self._scored(), special["unk"], byte_fallback=True))
        if not any("<0" in name for name in self.text):
            # No piece holds a cut there, and uncut the name of a byte would be taken for that byte.
            byte = Regex("<(?=0x[0-9A-F]{2}>)")
            library.pre_tokenizer = pre_tokenizers.Split(byte, "merged_with_previous")
        library.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
        for name, number in special.items():
            # A mask stands for a piece, and pieces begin with the space before a word.
            token = AddedToken(self.names[number], normalized=False, lstrip=name == "mask")
            library.add_special_tokens([token])
        return str(library.to_str())

    def _ids(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def _scored(self) -> list[tuple[str, float]]:
        """Pieces with their scores; those that are no text cost more than all of its letters."""
        never = 8 * min(self.scores)
        return [
            (name, score if name in self.text else never)
            for name, score in zip(self.names, self.scores, strict=True)
        ]

    def _merges(self) -> list[tuple[str, str]]:
        """Every pair of pieces that is a piece, the best first, as SentencePiece joins them."""
        ids = self._ids()
        best = sorted(self.text, key=lambda name: -self.scores[ids[name]])
        return list(chain.from_iterable(map(self._halves, best)))

    def _halves(self, name: str) -> Sequence[tuple[str, str]]:
        cuts = ((name[:end], name[end:]) for end in range(1, len(name)))
        return [(left, right) for left, right in cuts if left in self.text and right in self.text]
