"""SentencePiece models, ours and other people's.

Ours, and others trained like them, keep every byte of a text: no normalization, no space put before
a text, bytes for what no piece covers. SentencePiece writes a space as ▁, so that character itself
goes into those as its bytes. Most other models change text (NFKC, single spaces); they are used as
the library uses them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from dslm.arrays import Int64Array, Tokens
from dslm.tokenizers.chunking import CHUNK, Span, lines, safe_cuts
from dslm.tokenizers.probes import PROBES
from dslm.tokenizers.third_party import DamagedError, begin_by_settings, special_ids
from dslm.tokenizers.tokenizer import (
    MODEL,
    AnyTokenizerKind,
    Encoded,
    Tokenizer,
    TokenizerCard,
    model_hash,
)
from dslm.tokenizers.tokenizer_json import Pieces
from dslm.tokenizers.word_cache import VISIBLE, Encode, apart, cached

SPACE = "▁"
"""What SentencePiece writes for a space."""

BETWEEN = "\udcff"
"""What is in no piece, for it is no character."""

T5 = "T5Tokenizer"
"""The class that adds ids for gaps."""

LONG = 256
"""Characters above which an array of ids costs less than a list of them."""


class SentencePieceTokenizer(Tokenizer):
    """Pieces of words: unigram (Kudo 2018) and bpe (Sennrich et al. 2016), by SentencePiece."""

    def __init__(self, card: TokenizerCard, files: Mapping[str, bytes]) -> None:
        super().__init__(card, files)
        self._model = _open(files)
        self._numbers = list(range(self._model.get_piece_size()))
        written = BETWEEN.join(self._model.id_to_piece(self._numbers))
        self._pieces = written.replace(SPACE, " ").split(BETWEEN)
        self._plain: Encode = self._library
        if self.byte_lengths is not None:
            self._space = [self._model.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE.encode()]
            self._plain = self._with_marks
        self._lines = self.byte_lengths is not None and not any(
            "\n" in piece and piece != "\n" for piece in self._pieces
        )

    @classmethod
    def describe(
        cls, kind: AnyTokenizerKind, files: Mapping[str, bytes], settings: Mapping[str, Any]
    ) -> TokenizerCard:
        """The card of a model that came without one; the settings of its `tokenizer_config.json`.

        Raises:
            DamagedError: it is no model.
        """
        model = _open(files)

        def number(name: str) -> int | None:
            found = model.piece_to_id(name)
            special = model.is_control(found) or found == model.unk_id()
            return found if special and model.id_to_piece(found) == name else None

        own = {"unk": model.unk_id(), "eos": model.eos_id(), "pad": model.pad_id()}
        special = special_ids(number) | {name: known for name, known in own.items() if known >= 0}
        begin, size = begin_by_settings(settings, "<s>", number), model.get_piece_size()
        extra = _extra_ids(settings)  # behind the model's own, the first one last
        return TokenizerCard(
            kind=kind,
            vocabulary=size + extra,
            gaps=tuple(range(size + extra - 1, size - 1, -1)),
            special={**special, **({"bos": begin[-1]} if begin else {})},
            begin=begin,
            sha256=model_hash(files),
        )

    def _encode(self, parts: Sequence[str]) -> Encoded:
        return self._words(parts)

    def _spans(self, text: str) -> Iterator[Span]:
        return lines(text, CHUNK) if self._lines else safe_cuts(text, CHUNK, self._model.encode)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids."""
        size = len(self._numbers)
        return str(self._model.decode([number for token in ids if (number := int(token)) < size]))

    def _library(self, parts: Sequence[str]) -> Encoded:
        """The ids as the library gives them."""
        long = sum(map(len, parts)) > LONG * len(parts)
        kind = "numpy" if long else int
        rows = self._model.encode(list(parts), return_type=kind, num_threads=1)
        if long:
            return np.concatenate(rows).astype(self.dtype), _ends(rows)
        return self._flat(rows)

    def _with_marks(self, parts: Sequence[str]) -> Encoded:
        """The ids, with those of the bytes of ▁ wherever the text itself has it."""
        if SPACE not in "".join(parts):
            return self._library(parts)
        return self._flat([self._marked(part) for part in parts])

    def _marked(self, part: str) -> list[int]:
        first, *rest = part.split(SPACE)
        ids: list[int] = self._model.encode(first)
        for after in rest:
            ids += self._space + self._model.encode(after)
        return ids

    def _json(self) -> str:
        if self.kind == "sentencepiece":
            return super()._json()
        kinds = (self._model.is_control, self._model.is_unknown, self._model.is_byte)
        other = np.any([kind(self._numbers) for kind in kinds], axis=0)
        text = {piece for piece, no in zip(self._pieces, other, strict=True) if not no}
        scores = self._model.get_score(self._numbers)
        return Pieces(self._pieces, scores, text).json(self.kind, self.special)

    def _token_spans(self, part: str) -> list[Span]:
        """Those of the library; of pieces made of one character it gives that to the last alone."""
        found = self._model.encode_as_offset_mapping(part)
        spans, ids = list(map(tuple, found["offsets"])), found["ids"]
        for place in reversed(range(len(spans) - 1)):
            (start, end), (begin, behind) = spans[place : place + 2]
            shared = end == begin and not part[start:end].strip()
            if shared and self._pieces[ids[place]].strip():
                spans[place] = start, behind
        return spans

    def _flat(self, rows: Sequence[list[int]]) -> Encoded:
        ends = _ends(rows)
        return np.fromiter(chain.from_iterable(rows), self.dtype, int(ends[-1:].sum())), ends

    def _measured(self) -> Tokens | None:
        """Bytes of each piece, if the model gives back every probe."""
        numbers, model = self._numbers, self._model
        none = np.array(model.is_control(numbers)) | np.array(model.is_unknown(numbers))
        single = np.array(model.is_byte(numbers))
        lengths = np.array([*map(len, map(str.encode, self._pieces))], dtype=np.int32)
        lengths = np.where(none, 0, np.where(single, 1, lengths)).astype(np.int32)
        sizes = [len(text.encode()) for text in PROBES]
        found = [int(lengths[model.encode(text)].sum()) for text in PROBES]
        lengths = np.pad(lengths, (0, self.vocabulary - lengths.size))
        return lengths if found == sizes and single.sum() == 256 else None

    @cached_property
    def _words(self) -> Encode:
        """The encoder that remembers words, for a model whose pieces stay within them.

        Bytes that stand side by side in no piece are a border, on both sides of which a text is cut
        into pieces by itself. BPE (its scores are the ranks of merges, so whole numbers) then gives
        the ids of the whole text. So does unigram but for rounding: the library adds up the scores
        of a text in 32 bits, and after some thousand words takes the second best cut of a word for
        the best. We take the best of each word, which does not depend on what comes before it;
        other people's unigram models are used as the library uses them.
        """
        borders = apart(self._pieces)
        if any(score % 1 for score in self._model.get_score(self._numbers)):
            ours = self.kind == "unigram" and self.byte_lengths is not None
            alone = cached(self._plain, self.dtype, borders) if ours else None
            return alone or self._plain
        if self.byte_lengths is not None:
            return cached(self._plain, self.dtype, borders) or self._plain
        between_words = np.zeros_like(borders)
        between_words[VISIBLE, ord(" ")] = True
        if (between_words & ~borders).any():
            return self._plain
        encoders = (cached(self._plain, self.dtype, between_words, drop) for drop in (0, 1))
        return next(filter(None, encoders), self._plain)


def _extra_ids(settings: Mapping[str, Any]) -> int:
    """How many ids for gaps T5's tokenizer adds, by its `tokenizer_config.json`."""
    given = settings.get("extra_ids", 100 if settings.get("tokenizer_class") == T5 else 0)
    return given if isinstance(given, int) and given > 0 else 0


def _ends(rows: Sequence[Sequence[int]]) -> Int64Array:
    return np.cumsum([*map(len, rows)], dtype=np.int64)


def _open(files: Mapping[str, bytes]) -> Any:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor()
    try:
        model.LoadFromSerializedProto(files[MODEL])
    except RuntimeError as error:
        raise DamagedError(str(error)) from None
    return model
