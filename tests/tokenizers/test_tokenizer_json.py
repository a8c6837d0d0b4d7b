"""Our tokenizers as tokenizer.json, against our own on texts of every kind."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
from helpers.hub import byte_level, text
from hypothesis import given, settings
from hypothesis import strategies as some

from dslm.errors import DataError
from dslm.tokenizers.load import KINDS, load_tokenizer
from dslm.tokenizers.scores import STEP, rounded
from dslm.tokenizers.tokenizer import MODEL, Tokenizer, model_hash
from dslm.tokenizers.tokenizer_json import HARD

Both = dict[str, tuple[Tokenizer, tokenizers.Tokenizer]]
ALPHABET = "the river of <0x41>=\n\t▁é短😀\u0301[x"


@pytest.fixture(scope="module")
def both(trained_tokenizers: dict[str, Path]) -> Both:
    """Each tokenizer of ours, and what was made of it."""
    ours = {kind: load_tokenizer(folder) for kind, folder in trained_tokenizers.items()}
    return {k: (t, tokenizers.Tokenizer.from_str(t.tokenizer_json())) for k, t in ours.items()}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@settings(max_examples=300)
@given(sample=some.text(alphabet=ALPHABET) | some.text())
def test_the_ids_of_any_text_are_ours(both: Both, kind: str, sample: str) -> None:
    ours, theirs = both[kind]
    ids = ours.encode([sample])[0].tolist()
    assert theirs.encode(sample).ids == ids
    assert theirs.decode(ids) == sample


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("sign", [" ", "=", "a", "\n", "é"])
def test_runs_of_one_sign_are_cut_alike(both: Both, kind: str, sign: str) -> None:
    ours, theirs = both[kind]
    for count in range(1, 200):
        sample = f"x{sign * count}y"
        assert theirs.encode(sample).ids == ours.encode([sample])[0].tolist()


def test_a_character_it_does_not_know_is_an_error_as_with_us(both: Both) -> None:
    ours, theirs = both["char"]
    with pytest.raises(DataError):
        ours.encode(["Ω"])
    with pytest.raises(Exception, match="UNK"):
        theirs.encode("Ω")


def test_ids_that_would_differ_are_refused(trained_tokenizers: dict[str, Path]) -> None:
    ours = load_tokenizer(trained_tokenizers["bpe"])
    lying = replace(ours.card, kind="unigram")
    with pytest.raises(DataError, match=r"gives other ids as tokenizer\.json for the text"):
        KINDS["unigram"](lying, ours.files).tokenizer_json()


def test_a_tokenizer_of_sentencepiece_alone_is_refused(
    trained_tokenizers: dict[str, Path],
) -> None:
    with pytest.raises(DataError, match="of kind sentencepiece cannot be written"):
        load_tokenizer(trained_tokenizers["bpe"] / MODEL).tokenizer_json()


@pytest.mark.parametrize("kind", ["hugging-face", "gpt2"])
def test_other_peoples_are_as_they_were(kind: str, tmp_path: Path) -> None:
    model = byte_level()
    if kind == "gpt2":
        model.model.save(str(tmp_path))
    else:
        model.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert ours.kind == kind
    theirs = tokenizers.Tokenizer.from_str(ours.tokenizer_json())
    for sample in (*HARD, text(3, 100)):
        assert theirs.encode(sample).ids == ours.encode([sample])[0].tolist()
    if kind == "hugging-face":
        assert ours.tokenizer_json() == (tmp_path / "tokenizer.json").read_text()


def scores(model: bytes) -> list[float]:
    opened = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [opened.get_score(number) for number in range(opened.get_piece_size())]


def test_our_unigrams_have_scores_that_add_up_exactly(trained_tokenizers: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(trained_tokenizers["unigram"])
    found = scores(tokenizer.files[MODEL])
    assert min(found) < -1
    assert all((score / STEP).is_integer() for score in found)
    assert tokenizer.sha256 == model_hash({MODEL: tokenizer.files[MODEL]})


def test_rounding_moves_a_score_by_half_a_step_and_nothing_else(tmp_path: Path) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text(seed, 200).replace("\n", " ") for seed in range(50)]),
        model_prefix=str(tmp_path / "m"),
        vocab_size=80,
        minloglevel=2,
    )
    model = (tmp_path / "m.model").read_bytes()
    after = rounded(model)
    moved = [abs(a - b) for a, b in zip(scores(model), scores(after), strict=True)]
    assert 0 < max(moved) <= STEP / 2
    changed = [place for place in range(len(model)) if model[place] != after[place]]
    assert len(model) == len(after)
    floats = {struct.pack("<f", score) for score in scores(model)}
    assert all(any(model[p - d : p - d + 4] in floats for d in range(4)) for p in changed)
    assert rounded(after) == after
