"""What tokenizers put before a text, against the tokenizers of `transformers`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import transformers
from helpers.hub import byte_level, text
from hypothesis import given, settings
from hypothesis import strategies as some
from tokenizers import processors

from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer

MARKS = ["<s>", "</s>", "[CLS]", "[SEP]", "[gMASK]"]
"""Ids 300 to 304 of the tokenizers made here."""


def template(*single: str) -> Any:
    number = {name: 300 + place for place, name in enumerate(MARKS)}
    special = [(name, number[name]) for name in dict.fromkeys(single) if name in number]
    return processors.TemplateProcessing(single=[*single], pair=None, special_tokens=special)


FRAMES: dict[str, tuple[Any, Sequence[str], tuple[int, ...], tuple[int, ...]]] = {
    "GPT-2": (processors.ByteLevel(trim_offsets=False), (), (), ()),
    "Llama": (template("<s>", "$A"), (), (300,), ()),
    "Llama 3": (
        processors.Sequence([processors.ByteLevel(trim_offsets=False), template("<s>", "$A")]),
        (),
        (300,),
        (),
    ),
    "Llama with an end": (template("<s>", "$A", "</s>"), (), (300,), (301,)),
    "Gemma, which has a mask": (template("<s>", "$A"), ("<mask>",), (300,), ()),
    "OPT, which begins with its end": (template("</s>", "$A"), (), (301,), ()),
    "ChatGLM": (template("[gMASK]", "<s>", "$A"), (), (304, 300), ()),
    "T5": (template("$A", "</s>"), (), (), (301,)),
    "BERT": (processors.BertProcessing(("[SEP]", 303), ("[CLS]", 302)), ("[MASK]",), (), (303,)),
    "BERT without a mask": (template("[CLS]", "$A", "[SEP]"), (), (), (303,)),
    "RoBERTa": (processors.RobertaProcessing(("</s>", 301), ("<s>", 300)), ("<mask>",), (), (301,)),
}
"""What is around a text, further special tokens, what a document begins with, what ends a text."""
FLAGS = {f"vocab.json, add_bos_token {flag}": flag for flag in (True, False)}
CAUSAL = [name for name, (*_, end) in FRAMES.items() if not end]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each frame, and files that say nothing of one beside settings that do."""
    home = tmp_path_factory.mktemp("frames")
    for name, (around, more, _, _) in FRAMES.items():
        model = byte_level()
        model.add_special_tokens([*MARKS, *more])
        model.post_processor = around
        (home / name).mkdir()
        model.save(str(home / name / "tokenizer.json"))
        any_class = {"tokenizer_class": "PreTrainedTokenizerFast"}
        (home / name / "tokenizer_config.json").write_text(json.dumps(any_class))
    pieces = json.loads(byte_level().to_str())["model"]
    merges = "\n".join(" ".join(pair) for pair in pieces["merges"])
    for name, flag in FLAGS.items():
        folder = home / name
        folder.mkdir()
        (folder / "vocab.json").write_text(json.dumps(pieces["vocab"]))
        (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
        asked = {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": flag}
        (folder / "tokenizer_config.json").write_text(json.dumps(asked))
    return home


def theirs(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder)


def opened(home: Path, folder: str) -> tuple[Tokenizer, Any]:
    return load_tokenizer(home / folder), theirs(home / folder)


@pytest.mark.parametrize("name", FRAMES)
def test_a_document_begins_as_a_text_but_in_a_frame_of_masked_models(home: Path, name: str) -> None:
    _, _, begin, end = FRAMES[name]
    tokenizer = load_tokenizer(home / name)
    assert tokenizer.begin == begin
    assert tokenizer.frame[1] == end
    assert tokenizer.special.get("bos") == (begin[-1] if begin else None)


@pytest.mark.parametrize("name", [*CAUSAL, *FLAGS])
def test_a_prompt_has_the_ids_of_transformers(home: Path, name: str) -> None:
    ours, others = opened(home, name)

    @settings(max_examples=60, deadline=None)
    @given(some.text(max_size=40))
    def same(prompt: str) -> None:
        assert (ours.prompt(prompt) if prompt else [*ours.begin]) == others(prompt)["input_ids"]

    same()


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_saved_begins_as_before(home: Path, tmp_path: Path, name: str) -> None:
    tokenizer = load_tokenizer(home / name)
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert (again.begin, again.special) == (tokenizer.begin, tokenizer.special)
    assert again.prompt("the river") == tokenizer.prompt("the river")


def test_a_card_of_before_says_that_nothing_stands_there(home: Path, tmp_path: Path) -> None:
    load_tokenizer(home / "Llama").save(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps({k: v for k, v in card.items() if k != "begin"}))
    assert load_tokenizer(tmp_path).begin == ()


@pytest.mark.parametrize(("flag", "begin"), [(True, (1,)), (False, ()), (None, ())])
def test_sentencepiece_has_a_beginning_where_its_settings_ask_for_it(
    tmp_path: Path, flag: bool | None, begin: tuple[int, ...]
) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text(0, 500).splitlines()),
        model_prefix=str(tmp_path / "tokenizer"),
        model_type="bpe",
        vocab_size=120,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    named = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
    asked = named if flag is None else {**named, "add_bos_token": flag}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(asked))
    ours = load_tokenizer(tmp_path)
    assert ours.begin == begin
    assert tuple(theirs(tmp_path)("the river")["input_ids"][: len(begin)]) == begin


def test_an_empty_prompt_begins_a_document(home: Path) -> None:
    assert load_tokenizer(home / "ChatGLM").prompt("") == [304, 300]
    assert load_tokenizer(home / "GPT-2").prompt("") == [301]
