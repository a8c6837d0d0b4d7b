"""Tokenizers that the `tokenizers` library runs: Hugging Face's JSON, GPT-2's and BERT's files.

The ids are those of `transformers` for plain text, without what a tokenizer puts around one (see
`frame`); the name of a special token within a text is text. Text is not cut or padded, whatever the
file says.
"""

from __future__ import annotations

import io
import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np

from dslm.arrays import Flags, Tokens
from dslm.errors import DataError, Problem
from dslm.tokenizers.chunking import CHUNK, Span, safe_cuts
from dslm.tokenizers.fast import fast_encoder
from dslm.tokenizers.frame import Frame, begin_of, frame_of
from dslm.tokenizers.probes import PROBES, neighbours
from dslm.tokenizers.third_party import (
    FILES,
    DamagedError,
    begin_by_settings,
    gap_ids,
    special_ids,
)
from dslm.tokenizers.tokenizer import (
    JSON,
    AnyTokenizerKind,
    Encoded,
    Tokenizer,
    TokenizerCard,
    model_hash,
)
from dslm.tokenizers.word_cache import VISIBLE, Encode, apart, cached

ALPHANUMERIC = list((string.ascii_letters + string.digits).encode())
WHITE = list(b" \n\r\t")


class HuggingFaceTokenizer(Tokenizer):
    """Byte-level BPE (Radford et al. 2019), WordPiece (Devlin et al. 2019) and other kinds."""

    def __init__(self, card: TokenizerCard, files: Mapping[str, bytes]) -> None:
        super().__init__(card, files)
        self._model = _open(card.kind, files)
        self._added = self._model.get_added_tokens_decoder()

    @classmethod
    def describe(
        cls, kind: AnyTokenizerKind, files: Mapping[str, bytes], settings: Mapping[str, Any]
    ) -> TokenizerCard:
        """The card of a model that came without one; the settings of its `tokenizer_config.json`.

        Raises:
            DamagedError: it is no tokenizer.
        """
        model = _open(kind, files)
        added = model.get_added_tokens_decoder().items()
        known = {token.content: number for number, token in added if token.special}
        special = special_ids(known.get)
        frame = frame_of(model)
        begin = begin_of(frame, [model.id_to_token(number) for number in frame[0]], special)
        if kind == "gpt2":
            begin = begin_by_settings(settings, "<|endoftext|>", model.token_to_id)
        size = 1 + max(model.get_vocab(with_added_tokens=True).values())
        return TokenizerCard(
            kind=kind,
            vocabulary=size,
            special={**special, **({"bos": begin[-1]} if begin else {})},
            begin=begin,
            gaps=gap_ids(known.get),
            sha256=model_hash(files),
        )

    @cached_property
    def frame(self) -> Frame:
        """What the tokenizer itself puts around a text."""
        return frame_of(self._model)

    def _encode(self, parts: Sequence[str]) -> Encoded:
        return self._words(parts)

    @cached_property
    def _words(self) -> Encode:
        """The fastest encoder that gives the same ids: gigatoken, or one that remembers words."""
        if not self._wordwise():
            return self._plain
        special = all(one.special for one in self._added.values())
        if find_spec("gigatoken") and special and self.byte_lengths is not None:
            probes = [*PROBES, *neighbours(), *(one.content for one in self._added.values())]
            if fast := fast_encoder(self._model.to_str(), probes, self._plain):
                return fast
        return cached(self._plain, self.dtype, _borders(self._added.values())) or self._plain

    def _spans(self, text: str) -> Iterator[Span]:
        return safe_cuts(text, CHUNK, self._ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids."""
        return str(self._model.decode([int(token) for token in ids], skip_special_tokens=True))

    def _json(self) -> str:
        from tokenizers import Tokenizer as Library

        if self.kind != "hugging-face":
            return str(self._model.to_str())
        content = self.files[JSON].decode()
        library = Library.from_str(content)
        if library.truncation is None and library.padding is None:
            return content
        library.no_truncation()
        library.no_padding()
        return str(library.to_str())

    def _plain(self, parts: Sequence[str]) -> Encoded:
        arrays = [np.array(self._ids(part), dtype=self.dtype) for part in parts]
        ends = np.cumsum([len(array) for array in arrays], dtype=np.int64)
        return np.concatenate([*arrays, np.empty(0, self.dtype)]), ends

    def _ids(self, text: str) -> list[int]:
        # One text a call: with more the library starts threads, which other workers' cores lack.
        try:
            encodings = self._model.encode_batch_fast([text], add_special_tokens=False)
        except Exception as error:  # the library raises nothing narrower
            rule = f"the tokenizer has no ids for it ({error})"
            raise DataError(Problem(f"text {text[:40]!r}", None, rule)) from None
        ids: list[int] = encodings[0].ids
        return ids

    def _token_spans(self, part: str) -> list[Span]:
        spans: list[Span] = self._model.encode(part, add_special_tokens=False).offsets
        return spans

    def _wordwise(self) -> bool:
        """Whether the tokenizer splits text at spaces before anything else looks across them."""
        from tokenizers import normalizers, pre_tokenizers

        splits, normalizer = self._model.pre_tokenizer, self._model.normalizer
        forms = (normalizers.NFC, normalizers.NFD, normalizers.NFKC, normalizers.NFKD)
        local = normalizer is None or isinstance(normalizer, (*forms, normalizers.BertNormalizer))
        byte_level = isinstance(splits, pre_tokenizers.ByteLevel)
        known = (
            splits.use_regex if byte_level else isinstance(splits, pre_tokenizers.BertPreTokenizer)
        )
        return known and local and not any(map(_looks_around, self._added.values()))

    def _measured(self) -> Tokens | None:
        """Bytes of each token of a byte-level BPE that gives back every probe."""
        from tokenizers import decoders, models, pre_tokenizers

        model, vocabulary = self._model, self._model.get_vocab(with_added_tokens=False)
        alphabet = set(pre_tokenizers.ByteLevel.alphabet())
        byte_level = isinstance(model.decoder, decoders.ByteLevel) and alphabet <= set(vocabulary)
        if not (byte_level and isinstance(model.model, models.BPE) and model.normalizer is None):
            return None
        lengths = np.zeros(self.vocabulary, dtype=np.int32)
        lengths[list(vocabulary.values())] = list(map(len, vocabulary))  # a character for each byte
        for number, token in self._added.items():
            lengths[number] = 0 if token.special else len(token.content.encode())
        same = all(lengths[self._ids(text)].sum() == len(text.encode()) for text in PROBES)
        return lengths if same and not any(map(_looks_around, self._added.values())) else None


def _looks_around(token: Any) -> bool:
    """Whether an added token in a text depends on what is beside it, or takes some of that."""
    return not token.special and bool(token.lstrip or token.rstrip or token.single_word)


def _borders(added: Iterable[Any]) -> Flags:
    """Where GPT-2 and BERT begin another word, whatever follows, but in no added token."""
    wide = {chr(code).encode()[-1] for code in range(0x80, 0x3001) if chr(code).isspace()}
    borders = np.zeros((256, 256), dtype=bool)
    borders[np.ix_(ALPHANUMERIC, list(string.punctuation.encode()))] = True
    borders[np.ix_([*VISIBLE, *{*range(0x80, 0xC0)} - wide], WHITE)] = True
    return borders & apart([token.content for token in added if not token.special])


def _open(kind: str, files: Mapping[str, bytes]) -> Any:
    """The library's tokenizer, set to give all ids of a text and no others."""
    makers: dict[str, Callable[..., Any]] = {
        "hugging-face": _hugging_face,
        "gpt2": _gpt2,
        "bert": _bert,
    }
    try:
        model = makers[kind](*(files[name].decode() for name in FILES[kind]))
    except Exception as error:  # the library raises nothing narrower
        raise DamagedError(str(error)) from None
    model.no_truncation()
    model.no_padding()
    model.encode_special_tokens = True
    return model


def _hugging_face(content: str) -> Any:
    from tokenizers import Tokenizer, models

    model = Tokenizer.from_str(content)
    if isinstance(model.model, models.BPE):
        model.model.dropout = None  # a text has the same ids every time
    return model


def _gpt2(vocabulary: str, merges: str) -> Any:
    """GPT-2's byte-level BPE: https://github.com/openai/gpt-2/blob/master/src/encoder.py."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    rows = [line.split(" ") for line in merges.splitlines() if not line.startswith("#version")]
    pairs = [(row[0], row[1]) for row in rows if len(row) == 2]
    ids = json.loads(vocabulary)
    model = Tokenizer(models.BPE(ids, pairs))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    if "<|endoftext|>" in ids:
        model.add_special_tokens([AddedToken("<|endoftext|>", normalized=False)])
    return model


def _bert(content: str) -> Any:
    """BERT's WordPiece; without a capital letter in its vocabulary it is an uncased one."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    words = [line.rstrip("\n") for line in io.StringIO(content, newline=None)]
    special = [word for word in words if re.fullmatch(r"\[(UNK|CLS|SEP|PAD|MASK)\]", word)]
    if "[UNK]" not in special:
        raise ValueError("it lacks [UNK]")
    uncased = all(word == word.lower() for word in words if not word.startswith("["))
    ids = {word: number for number, word in enumerate(words)}
    model = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    model.normalizer = normalizers.BertNormalizer(lowercase=uncased)
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.decoder = decoders.WordPiece()
    model.add_special_tokens(special)
    return model
