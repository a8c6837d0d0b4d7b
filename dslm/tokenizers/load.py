"""From a path to a tokenizer: ours by its card, other people's by what their files are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.tokenizers import third_party
from dslm.tokenizers.character import CharacterTokenizer
from dslm.tokenizers.hugging_face import HuggingFaceTokenizer
from dslm.tokenizers.sentence_piece import SentencePieceTokenizer
from dslm.tokenizers.tokenizer import (
    CARD,
    JSON,
    MODEL,
    Tokenizer,
    TokenizerCard,
    card_path,
    model_hash,
)

THIRD_PARTY: dict[str, type[SentencePieceTokenizer] | type[HuggingFaceTokenizer]] = {
    "sentencepiece": SentencePieceTokenizer,
    "hugging-face": HuggingFaceTokenizer,
    "gpt2": HuggingFaceTokenizer,
    "bert": HuggingFaceTokenizer,
}

KINDS: dict[str, type[Tokenizer]] = {
    "unigram": SentencePieceTokenizer,
    "bpe": SentencePieceTokenizer,
    "char": CharacterTokenizer,
    **THIRD_PARTY,
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
    folder = path.parent if path.name in (CARD, JSON) and path.is_file() else path
    found = None if card_path(folder) else third_party.find(path)
    return _with_card(folder) if found is None else _without_card(found)


def _without_card(found: third_party.ThirdPartyFiles) -> Tokenizer:
    names = zip(FILES[found.kind], found.paths, strict=True)
    files = {name: third_party.read(source) for name, source in names}
    settings = third_party.settings_beside(found)
    try:
        card = THIRD_PARTY[found.kind].describe(found.kind, files, settings)
        card = replace(card, chat_template=third_party.chat_template_beside(found))
    except third_party.DamagedError as error:
        rule = f"is no {found.kind} tokenizer ({error})"
        where = " or ".join(map(str, found.paths))
        raise DataError(Problem(where, None, rule, "get the file again")) from None
    return KINDS[found.kind](card, files)


def _with_card(folder: Path) -> Tokenizer:
    card = TokenizerCard.load(folder)
    older = {} if (folder / CARD).is_file() else {JSON: "hugging-face.json"}
    paths = {name: folder / older.get(name, name) for name in FILES[card.kind]}
    for path in paths.values():
        if not path.is_file():
            rule, fix = "no such file", "copy the folder again or train again"
            raise DataError(Problem(str(path), None, rule, fix))
    files = {name: third_party.read(path) for name, path in paths.items()}
    model = files if card.characters is None else {CARD: card.characters.encode()}
    if model_hash(model) != card.sha256:
        changed = " or ".join(str(paths.get(name, folder / name)) for name in model)
        rule = "its bytes have changed since the card was written"
        raise DataError(Problem(changed, None, rule, "copy the folder again or train again"))
    if not older and (folder / JSON).is_file():
        files[JSON] = third_party.read(folder / JSON)
    return KINDS[card.kind](card, files)
