"""From a path to a tokenizer: ours by its card, other people's by what their files are."""

from __future__ import annotations

from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.tokenizers import third_party
from dslm.tokenizers.character import CharacterTokenizer
from dslm.tokenizers.hugging_face import HuggingFaceTokenizer
from dslm.tokenizers.sentence_piece import SentencePieceTokenizer
from dslm.tokenizers.tokenizer import CARD, MODEL, Tokenizer, TokenizerCard, model_hash

FOREIGN: dict[str, type[SentencePieceTokenizer] | type[HuggingFaceTokenizer]] = {
    "sentencepiece": SentencePieceTokenizer,
    "hugging-face": HuggingFaceTokenizer,
    "gpt2": HuggingFaceTokenizer,
    "bert": HuggingFaceTokenizer,
}

KINDS: dict[str, type[Tokenizer]] = {
    "unigram": SentencePieceTokenizer,
    "bpe": SentencePieceTokenizer,
    "char": CharacterTokenizer,
    **FOREIGN,
}

FILES = {"unigram": (MODEL,), "bpe": (MODEL,), "char": (), **third_party.FILES}
"""The files of a model beside its card."""


def load_tokenizer(path: Path | str) -> Tokenizer:
    """Open a tokenizer.

    Args:
        path: a folder that `Tokenizer.save` or `train_tokenizer` wrote; or other people's:
            SentencePiece's ``.model``, Hugging Face's ``tokenizer.json``, GPT-2's ``vocab.json`` or
            ``merges.txt`` with the other one beside it, BERT's ``vocab.txt``, or a folder with one
            of them.

    Raises:
        DataError: there is no tokenizer, or its model is not the one it was made with.
    """
    path = Path(path)
    found = third_party.find(path)
    return _ours(path.parent if path.is_file() else path) if found is None else _theirs(path, found)


def _theirs(path: Path, found: third_party.ThirdPartyFiles) -> Tokenizer:
    names = zip(FILES[found.kind], found.paths, strict=True)
    files = {name: third_party.read(source) for name, source in names}
    try:
        card = FOREIGN[found.kind].describe(found.kind, files)
    except third_party.DamagedError as error:
        rule = f"is no {found.kind} tokenizer ({error})"
        raise DataError(Problem(str(path), None, rule, "get the file again")) from None
    return KINDS[found.kind](card, files)


def _ours(folder: Path) -> Tokenizer:
    card = TokenizerCard.load(folder)
    paths = [folder / name for name in FILES[card.kind]]
    for path in paths:
        if not path.is_file():
            rule, fix = "no such file", "copy the folder again or train again"
            raise DataError(Problem(str(path), None, rule, fix))
    files = {path.name: third_party.read(path) for path in paths}
    model = files if card.characters is None else {CARD: card.characters.encode()}
    if model_hash(model) != card.sha256:
        changed = " or ".join(str(folder / name) for name in model)
        rule = f"its bytes have changed since {CARD} was written"
        raise DataError(Problem(changed, None, rule, "copy the folder again or train again"))
    return KINDS[card.kind](card, files)
