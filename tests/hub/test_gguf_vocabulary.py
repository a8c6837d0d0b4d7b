"""Our tokenizers in llama.cpp: the same ids of hard texts, and the same texts of ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import gguf
import pytest
import tokenizers
from helpers.hub import SYLLABLES, byte_level, text, word_pieces
from helpers.llama_cpp import LlamaCpp
from helpers.models import LLAMA
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors

from dslm.errors import DataError, UserError
from dslm.hub.exporting import export_run
from dslm.hub.gguf.vocabulary import PATTERNS, vocabulary
from dslm.inference.trained import load
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.tokenizers.chat_jinja import rendered
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.probes import PROBES, neighbours
from dslm.tokenizers.tokenizer import Tokenizer

MakeRun = Callable[..., Path]
LETTERS = ["".join(Random(seed).choices([*SYLLABLES, *"aeio"], k=100)) for seed in range(20)]
"""Which can be cut in many ways."""
TEXTS = [*PROBES, "a <0x41> b", *LETTERS, *neighbours()[::5], *(text(n, 60) for n in range(5))]


@pytest.fixture
def in_llama_cpp(make_run: MakeRun, tmp_path: Path) -> Callable[[Path], tuple[LlamaCpp, Tokenizer]]:
    """A tokenizer in llama.cpp, and the same as ours."""

    def both(tokenizer: Path) -> tuple[LlamaCpp, Tokenizer]:
        run = make_run(tokenizer, padding=5, layers=1, **LLAMA)
        export_run(run, tmp_path / "out", format="gguf")
        return LlamaCpp(tmp_path / "out/model.gguf"), load_tokenizer(tokenizer)

    return both


def test_bpe_gives_our_ids_but_for_the_mark_of_a_space(
    in_llama_cpp: Any, trained_tokenizers: dict[str, Path]
) -> None:
    theirs, ours = in_llama_cpp(trained_tokenizers["bpe"])
    for sample in TEXTS:
        ids = ours.encode([sample, sample.replace("▁", "")])
        assert theirs.text(ids[0].tolist()) == sample
        assert theirs.ids(sample.replace("▁", "")) == ids[1].tolist()


def shuffled(unigram: Path, folder: Path) -> Path:
    """A tokenizer whose pieces have each other's scores, so that the longest is rarely the best."""
    described = json.loads((unigram / "tokenizer.json").read_text())
    pairs = described["model"]["vocab"]
    pieces = [number for number, (_, score) in enumerate(pairs) if score > -20]
    scores = [pairs[number][1] for number in pieces]
    for number, score in zip(pieces, Random(0).sample(scores, len(scores)), strict=True):
        pairs[number][1] = score
    (folder / "tokenizer.json").write_text(json.dumps(described))
    return folder / "tokenizer.json"


@pytest.mark.parametrize("scores", ["ours", "shuffled"])
def test_unigram_gives_our_ids_or_a_cut_that_is_as_good(
    scores: str, in_llama_cpp: Any, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    made = trained_tokenizers["unigram"]
    theirs, ours = in_llama_cpp(made if scores == "ours" else shuffled(made, tmp_path))
    pairs = json.loads(ours.tokenizer_json())["model"]["vocab"]
    same, known = 0, "two  spaces, 中文 and 😀"
    for sample in [*(sample.lstrip("\ufeff") for sample in TEXTS), known]:
        ids, found = ours.encode([sample])[0].tolist(), theirs.ids(sample)
        assert theirs.text(ids) == theirs.text(found) == sample
        assert sum(pairs[number][1] for number in ids) == sum(pairs[number][1] for number in found)
        same += ids == found
    assert ids == found
    assert same > 0.7 * len(TEXTS)


def byte_level_with(pattern: str, whole_first: bool) -> tokenizers.Tokenizer:
    """A byte-level BPE that cuts at a pattern, such as Llama 3's, with an id before a text."""
    described = json.loads(byte_level().to_str())
    described["model"]["ignore_merges"] = whole_first
    made = tokenizers.Tokenizer.from_str(json.dumps(described))
    steps = [
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    made.add_special_tokens([AddedToken("<|begin_of_text|>", normalized=False)])
    begin = ("<|begin_of_text|>", made.token_to_id("<|begin_of_text|>"))
    made.post_processor = processors.TemplateProcessing(
        single=[begin[0], "$A"], pair=[begin[0], "$A", "$B"], special_tokens=[begin]
    )
    return made


def llama_2(bpe: Path) -> tokenizers.Tokenizer:
    """A tokenizer such as Llama 2's, of the pieces of one of ours."""
    ours = json.loads((bpe / "tokenizer.json").read_text())["model"]
    names = {name.replace(" ", "▁"): number for name, number in ours["vocab"].items()}
    merges = [tuple(part.replace(" ", "▁") for part in pair) for pair in ours["merges"]]
    model = models.BPE(names, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    made = tokenizers.Tokenizer(model)
    marks = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    made.normalizer = normalizers.Sequence(marks)
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    made.add_special_tokens(
        [AddedToken("<unk>", normalized=False), AddedToken("<eos>", normalized=False)]
    )
    return made


@pytest.mark.parametrize("kind", ["gpt-2", *(name for name, _ in PATTERNS.values()), "llama 2"])
def test_tokenizers_of_other_people_give_our_ids(
    kind: str, in_llama_cpp: Any, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    made = byte_level() if kind == "gpt-2" else llama_2(trained_tokenizers["bpe"])
    for pattern, (name, whole_first) in PATTERNS.items():
        made = byte_level_with(pattern, whole_first) if name == kind else made
    made.save(str(tmp_path / "tokenizer.json"))
    theirs, ours = in_llama_cpp(tmp_path / "tokenizer.json")
    assert ours.begin == ((300,) if kind in ("llama-bpe", "qwen2") else ())
    for sample in TEXTS:
        assert theirs.ids(sample) == [*ours.begin, *ours.encode([sample])[0].tolist()]


def test_characters_of_ascii_give_our_ids(in_llama_cpp: Any, tmp_path: Path) -> None:
    known = "".join(map(chr, range(32, 127))) + "\n\t"
    (tmp_path / "text.txt").write_text(known)
    train_tokenizer([tmp_path / "text.txt"], tmp_path / "made", TokenizerConfig("char", None))
    theirs, ours = in_llama_cpp(tmp_path / "made")
    for sample in [*TEXTS, known, r"\x41 \n [PAD97]"]:
        sample = "".join(character for character in sample if character in known)
        ids = ours.encode([sample])[0].tolist()
        assert theirs.ids(sample) == ids
        assert theirs.text(ids) == sample


def refused(content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        vocabulary(content, 500)


def changed(made: tokenizers.Tokenizer, path: Sequence[str], value: Any) -> str:
    """The content of a tokenizer.json with something else in a place."""
    described = json.loads(made.to_str())
    node = described
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return json.dumps(described)


def test_what_llama_cpp_would_cut_otherwise_is_refused(trained_tokenizers: dict[str, Path]) -> None:
    none = "llama.cpp has no tokenizer that gives the same ids"
    lower = {"type": "Lowercase"}
    refused(word_pieces().to_str(), none)
    refused(changed(byte_level(), ["normalizer"], lower), none)
    refused(changed(byte_level(), ["pre_tokenizer", "add_prefix_space"], True), none)
    refused(changed(byte_level(), ["model", "ignore_merges"], True), none)
    for kind in ("bpe", "unigram"):
        made = tokenizers.Tokenizer.from_file(str(trained_tokenizers[kind] / "tokenizer.json"))
        refused(changed(made, ["normalizer"], lower), none)
    unigram = json.loads(made.to_str())["model"]["vocab"]
    unigram[-1][1] += 1e-3
    refused(changed(made, ["model", "vocab"], unigram), none)
    file = str(trained_tokenizers["char"] / "tokenizer.json")
    refused(tokenizers.Tokenizer.from_file(file).to_str(), none)


def test_a_token_of_several_characters_among_them_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("abc")
    train_tokenizer([tmp_path / "text.txt"], tmp_path / "made", TokenizerConfig("char", None))
    made = tokenizers.Tokenizer.from_file(str(tmp_path / "made/tokenizer.json"))
    vocabulary(made.to_str(), 500)
    made.add_tokens(["<word>"])
    refused(made.to_str(), "llama.cpp has no tokenizer that gives the same ids")


def test_a_tokenizer_without_an_end_of_a_text_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    made = json.loads(byte_level().to_str())
    made["added_tokens"] = []
    (tmp_path / "tokenizer.json").write_text(json.dumps(made))
    run = make_run(tmp_path / "tokenizer.json", **LLAMA)
    with pytest.raises(UserError, match="has no token for the end of a text"):
        export_run(run, tmp_path / "out", format="gguf")


def test_a_chat_ends_as_its_answers_do(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    content = load_tokenizer(trained_tokenizers["bpe"]).tokenizer_json()
    library = tokenizers.Tokenizer.from_str(content)
    library.add_special_tokens(["<|end|>"])
    (tmp_path / "chat").mkdir()
    library.save(str(tmp_path / "chat/tokenizer.json"))
    template = "{{ bos_token }}{% for m in messages %}{{ m.content }}<|end|>{% endfor %}"
    (tmp_path / "chat/chat_template.jinja").write_text(template)
    objective = {"kind": "text_to_text", "text_to_text": {"records": "chats"}}
    run = make_run(tmp_path / "chat", objective=objective, layers=1, **LLAMA)
    export_run(run, tmp_path / "out", format="gguf")
    fields = gguf.GGUFReader(tmp_path / "out/model.gguf").fields
    document, answer = load(run).tokenizer.end_of_document, library.token_to_id("<|end|>")
    names = "bos_token_id", "eos_token_id"
    found = [fields[f"tokenizer.ggml.{name}"].contents() for name in names]
    assert found == [document, answer]
    written, said = fields["tokenizer.chat_template"].contents(), [{"role": "user", "content": "a"}]
    assert rendered(written, said, bos_token="</s>") == rendered(template, said) == "a<|end|>"
