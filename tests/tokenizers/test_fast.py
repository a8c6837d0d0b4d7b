"""gigatoken in place of the library's own encoder: the same ids, or not at all."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from helpers.hub import byte_level, text

from dslm.tokenizers.fast import fast_encoder
from dslm.tokenizers.hugging_face import HuggingFaceTokenizer
from dslm.tokenizers.probes import PROBES, neighbours
from dslm.tokenizers.tokenizer import JSON

FILES = {JSON: byte_level().to_str().encode()}


def opened() -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(HuggingFaceTokenizer.describe("hugging-face", FILES, {}), FILES)


def test_the_ids_are_those_of_the_library_on_hard_texts_and_long_ones() -> None:
    pytest.importorskip("gigatoken")
    tokenizer = opened()
    encode = fast_encoder(FILES[JSON].decode(), PROBES, tokenizer._plain)
    assert encode is not None
    texts = [
        *PROBES,
        *neighbours(),
        "<|endoftext|> is text",
        *(text(seed, 3000) for seed in range(9)),
    ]
    for found, wanted in zip(encode(texts), tokenizer._plain(texts), strict=True):
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted)


def test_a_model_that_gives_other_ids_for_a_probe_is_not_used() -> None:
    pytest.importorskip("gigatoken")
    other = json.loads(FILES[JSON])
    other["model"]["merges"] = other["model"]["merges"][:-20]
    assert fast_encoder(json.dumps(other), [text(0, 500)], opened()._plain) is None


def test_nobody_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    assert fast_encoder(FILES[JSON].decode(), PROBES, opened()._plain) is None
    tokenizer = opened()
    assert tokenizer.encode(["the river"])[0].tolist() == tokenizer._ids("the river")


def test_it_serves_where_it_is_installed() -> None:
    pytest.importorskip("gigatoken")
    assert opened()._words.__module__ == fast_encoder.__module__
