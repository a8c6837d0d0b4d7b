"""tokenizer_config.json, changed: the ids are those of `transformers`, or it is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import transformers
from helpers.hub import byte_level, word_pieces
from tokenizers import normalizers, pre_tokenizers

from dslm.errors import UserError
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.trained import load

TEXT = "The RIVER fälls under\u4e2dstones"
CLASSES = [None, "PreTrainedTokenizerFast"]
BERT = [
    {"do_lower_case": False},
    {"do_lower_case": True},
    {"do_lower_case": True, "strip_accents": False},
    {"do_lower_case": True, "tokenize_chinese_chars": False},
    {"do_lower_case": True, "add_prefix_space": True},
]
GPT2: list[dict[str, Any]] = [
    {"add_prefix_space": True},
    {"add_prefix_space": False},
    {"add_bos_token": True},
    {"add_eos_token": True},
    {"do_lower_case": True},
    {"model_max_length": 3, "padding_side": "left", "truncation_side": "left"},
]


def tried(folder: Path, run: Path, settings: dict[str, Any]) -> bool:
    """Whether a folder is accepted; then its ids are those of `transformers`."""
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    shutil.rmtree(run, ignore_errors=True)
    try:
        import_folder(folder, run)
    except UserError as error:
        if "tokenizer_config.json: " not in str(error):
            raise
        return False
    ids = transformers.AutoTokenizer.from_pretrained(folder)(TEXT, add_special_tokens=False)
    assert load(run).tokenizer.encode([TEXT])[0].tolist() == ids["input_ids"]
    return True


@pytest.mark.parametrize("small", [True, False])
def test_a_bert_splits_text_as_transformers_does_or_is_refused(
    small: bool, home: Callable[..., Path], theirs: Callable[[str], Any], tmp_path: Path
) -> None:
    folder = home(theirs("bert"))
    model = word_pieces()
    model.normalizer = normalizers.BertNormalizer(lowercase=small)
    model.save(str(folder / "tokenizer.json"))
    accepted = [
        tried(folder, tmp_path / "run", {**settings, "tokenizer_class": name})
        for settings, name in product(BERT, [*CLASSES, "BertTokenizer"])
    ]
    assert {*accepted} == {True, False}


@pytest.mark.parametrize("space", [True, False])
def test_a_gpt2_splits_text_as_transformers_does_or_is_refused(
    space: bool, home: Callable[..., Path], theirs: Callable[[str], Any], tmp_path: Path
) -> None:
    folder = home(theirs("gpt2"))
    model = byte_level()
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    model.save(str(folder / "tokenizer.json"))
    accepted = [
        tried(
            folder,
            tmp_path / "run",
            {"add_prefix_space": space, **settings, "tokenizer_class": name},
        )
        for settings, name in product(GPT2, [*CLASSES, "GPT2Tokenizer"])
    ]
    assert {*accepted} == {True, False}


def test_a_tokenizer_that_pads_and_cuts_texts_gives_their_ids(
    home: Callable[..., Path], theirs: Callable[[str], Any], tmp_path: Path
) -> None:
    folder, own = home(theirs("bert")), word_pieces()
    whole = own.encode(TEXT).ids
    own.enable_padding(length=12)
    own.enable_truncation(6)
    own.save(str(folder / "tokenizer.json"))
    import_folder(folder, tmp_path / "run")
    assert load(tmp_path / "run").tokenizer.encode([TEXT])[0].tolist() == whole[1:-1]
    export_run(tmp_path / "run", tmp_path / "out")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert again(TEXT).input_ids == whole
    assert len(whole) > 6
