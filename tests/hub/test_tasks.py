"""Runs of tasks as `transformers` loads them: ids, padding, segments, scores and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from helpers.bert import SHAPE
from helpers.exports import TOKENS, loaded
from helpers.hub import settings_of
from helpers.models import LLAMA
from helpers.tasks import examples_apart
from torch import Tensor
from transformers import AutoTokenizer, pipeline

from dslm.errors import UserError
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.selection import classes_of
from dslm.inference.trained import Trained, load
from dslm.inspection.likelihood import inputs_of, scores_of
from dslm.inspection.row import row_of
from dslm.quantization.config import QuantizationConfig
from dslm.sampling.stream import Samples
from dslm.tasks.base import Task
from dslm.tasks.coder import Coder
from dslm.tasks.questions import Questions
from dslm.tokenizers.load import load_tokenizer

MakeRun = Callable[..., Path]
BERT = {**SHAPE, "transform": False, "segments": 2}
ALONE = {**BERT, "segments": 0}
GPT2_SHAPE: dict[str, Any] = {"norm_epsilon": 1e-5}
CLASSES = ("film", "book", "song")
TEXTS = ["the river", "under", "falls of light"]
SECONDS = ["stone", "the light and the river", "or"]


def objective(kind: str, **settings: Any) -> dict[str, Any]:
    return {"kind": kind, kind: settings}


def classifying(**settings: Any) -> dict[str, Any]:
    return {"objective": objective("classification", **settings), "pooler": True}


def tagging() -> dict[str, Any]:
    return {"objective": objective("tagging"), "class_bias": True}


RUNS: dict[str, tuple[str, dict[str, Any], str]] = {
    "bert": ("unigram", {**BERT, **classifying()}, "BertForSequenceClassification"),
    "bert of pairs": (
        "unigram",
        {**BERT, **classifying(second="b", labels="several")},
        "BertForSequenceClassification",
    ),
    "bert without segments": (
        "bpe",
        {**ALONE, **classifying(second="b")},
        "BertForSequenceClassification",
    ),
    "bert of tokens": ("bpe", {**ALONE, **tagging()}, "BertForTokenClassification"),
    "gpt2": ("bpe", {**GPT2_SHAPE, **classifying()}, "GPT2ForSequenceClassification"),
    "gpt2 without padding": ("char", classifying(), "GPT2ForSequenceClassification"),
    "gpt2 of more ids": (
        "char",
        {**classifying(labels="several"), "padding": 7},
        "GPT2ForSequenceClassification",
    ),
    "gpt2 of tokens": ("char", tagging(), "GPT2ForTokenClassification"),
    "llama of pairs": (
        "unigram",
        {**LLAMA, **classifying(second="b")},
        "LlamaForSequenceClassification",
    ),
    "llama of tokens": ("bpe", {**LLAMA, **tagging()}, "LlamaForTokenClassification"),
}
"""The tokenizer, the shape and the class of each."""


def examples(trained: Trained, texts: Sequence[Sequence[str]]) -> list[list[int]]:
    """The ids of texts, or pairs of them, as training reads them."""
    model = trained.config.model
    coder = Coder(trained.tokenizer, model.attention == "full", model.sequence)
    return [coder.framed([coder.ids(text) for text in one])[0] for one in texts]


def scores(trained: Trained, rows: Sequence[Sequence[int]]) -> list[Tensor]:
    """What our model says of examples, without padding: [1, C] or a row for each token."""
    task, classes = trained.objective, trained.config.model.classes
    assert isinstance(task, Task)
    lengths = np.array([*map(len, rows)])
    tokens = np.zeros((len(rows), lengths.max()), np.uint32)
    for row, own in zip(tokens, rows, strict=True):
        row[: len(own)] = own
    draws, order = np.random.default_rng(0), np.arange(len(rows))
    labels = [task.drawn_labels(draws, classes, length) for length in lengths.tolist()]
    inputs, _ = task.batch(Samples(tokens, order, order, lengths, labels))
    with torch.no_grad():
        outputs = trained.model(inputs)
    return [one[: len(row)] for one, row in zip(outputs, rows, strict=True)]


@pytest.mark.parametrize("name", RUNS)
def test_transformers_scores_padded_texts_as_we_do(
    name: str, make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    kind, made, architecture = RUNS[name]
    run = make_run(trained_tokenizers[kind], classes=CLASSES, **made)
    assert export_run(run, tmp_path / "out").manifest.proof.score_difference <= 1e-5
    trained, tokenizer = load(run), AutoTokenizer.from_pretrained(tmp_path / "out")
    model = loaded(tmp_path / "out", getattr(transformers, architecture))
    assert settings_of(tmp_path / "out")["architectures"] == [architecture]
    paired = getattr(trained.config.objective.settings, "second", None) is not None
    texts = [TEXTS, SECONDS] if paired else [TEXTS]
    tokens = tokenizer(*texts, padding=True, return_tensors="pt")
    rows = examples(trained, [*zip(*texts, strict=True)])
    for ids, seen, row in zip(tokens.input_ids, tokens.attention_mask, rows, strict=True):
        assert ids[seen.bool()].tolist() == row
    with torch.no_grad():
        found = model(**tokens).logits
    found = found[:, None] if found.ndim == 2 else found
    for one, wanted in zip(found, scores(trained, rows), strict=True):
        assert float((one[: len(wanted)] - wanted).abs().max()) <= 1e-5
    import_folder(tmp_path / "out", tmp_path / "again")
    again = load(tmp_path / "again")
    assert again.config.objective.kind == trained.config.objective.kind
    assert examples(again, [*zip(*texts, strict=True)]) == rows


def test_answers_to_questions_begin_and_end_where_we_say(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    made = {**BERT, "objective": objective("questions"), "class_bias": True}
    classes = ("start", "end")
    run = make_run(trained_tokenizers["unigram"], classes=classes, **made)
    export_run(run, tmp_path / "out")
    theirs = loaded(tmp_path / "out", transformers.BertForQuestionAnswering)
    assert examples_apart(load(run), theirs) <= 1e-5
    import_folder(tmp_path / "out", tmp_path / "again")
    again = load(tmp_path / "again")
    assert isinstance(again.objective, Questions)
    assert classes_of(tmp_path / "again", again.objective) == classes


@pytest.mark.parametrize("labels", ["one", "several", "amount"])
@pytest.mark.parametrize("shape", [BERT, LLAMA])
def test_a_pipeline_names_the_labels_that_we_do(
    shape: dict[str, Any],
    labels: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    made, classes = classifying(labels=labels), CLASSES[: 1 if labels == "amount" else 3]
    run = make_run(trained_tokenizers["unigram"], classes=classes, **shape, **made)
    export_run(run, tmp_path / "out")
    trained = load(run)
    found = pipeline("text-classification", str(tmp_path / "out"), top_k=None)(TEXTS, batch_size=3)
    for one, wanted in zip(
        found, scores(trained, examples(trained, [[t] for t in TEXTS])), strict=True
    ):
        shares = {"one": wanted[0].softmax(0), "several": wanted[0].sigmoid(), "amount": wanted[0]}
        named = {each["label"]: each["score"] for each in one}
        assert named == pytest.approx(
            dict(zip(classes, shares[labels].tolist(), strict=True)), abs=1e-5
        )


def test_padding_that_ends_texts_is_not_used(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(trained_tokenizers["bpe"])
    special = {**tokenizer.special, "pad": tokenizer.special["eos"]}
    type(tokenizer)(replace(tokenizer.card, special=special), tokenizer.files).save(tmp_path / "t")
    run = make_run(tmp_path / "t", classes=CLASSES, **classifying())
    export_run(run, tmp_path / "out")
    settings, size = settings_of(tmp_path / "out"), tokenizer.vocabulary
    assert (settings["pad_token_id"], settings["vocab_size"]) == (size, size + 1)
    trained = load(run)
    found = pipeline("text-classification", str(tmp_path / "out"))(TEXTS, batch_size=3)
    rows = examples(trained, [[text] for text in TEXTS])
    wanted = [CLASSES[int(one.argmax())] for one in scores(trained, rows)]
    assert [one["label"] for one in found] == wanted


@pytest.mark.parametrize(
    ("name", "scheme", "layers"),
    [
        ("bert", "w4", "linear"),
        ("bert of tokens", "w8a8", "linear"),
        ("gpt2", "w8a8", "linear"),
        ("llama of pairs", "w4a8", "blocks"),
    ],
)
def test_a_model_of_a_task_is_exported_in_few_bits(
    name: str,
    scheme: Any,
    layers: Any,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    kind, made, architecture = RUNS[name]
    run = make_run(trained_tokenizers[kind], classes=CLASSES, **made)
    how = QuantizationConfig(scheme=scheme, layers=layers)
    holder = export_run(run, tmp_path / "out", None, how, "compressed-tensors").manifest.holder
    assert holder == architecture.replace("GPT2", "GPTBigCode")
    packed = loaded(tmp_path / "out", getattr(transformers, holder))
    row = TOKENS[0, :6].tolist()
    with torch.no_grad():
        found = packed(torch.tensor([row])).logits[0]
    (wanted,) = scores(load(run, None, how, to_use=False), [row])
    assert float((found - wanted).abs().max()) <= 1e-5


def test_rounded_inputs_of_a_pooled_head_are_refused(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["unigram"], classes=CLASSES, **BERT, **classifying())
    how = QuantizationConfig(scheme="w8a8", layers="linear")
    with pytest.raises(UserError, match="gives one step for all texts; use --format floats"):
        export_run(run, tmp_path / "out", None, how, "compressed-tensors")


@pytest.mark.parametrize(
    ("made", "format", "message"),
    [
        ({**BERT, "objective": objective("classification", pooler=False)}, "floats", "pooler=true"),
        ({**BERT, **classifying(), "norm_position": "pre"}, "floats", "norm_position.*BERT has"),
        ({**classifying(), "norm": "rms"}, "floats", "model.norm = 'rms': GPT-2 has only layer"),
        (classifying(), "gguf", "model.classes = 3: .* llama.cpp does not; use --format floats"),
        (
            {**classifying(), "classes": ("all",)},
            "floats",
            "model.classes = 1: .*; train with more",
        ),
    ],
)
def test_what_transformers_has_no_class_for_is_refused_with_the_key(
    made: dict[str, Any],
    format: str,
    message: str,
    make_run: MakeRun,
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["unigram"], **{"classes": CLASSES, **made})
    with pytest.raises(UserError, match=message):
        export_run(run, tmp_path / "out", format=format)
    assert not (tmp_path / "out").exists()


def test_a_pair_is_looked_at_as_it_is_scored(
    make_run: MakeRun, trained_tokenizers: dict[str, Path]
) -> None:
    kind, made, _ = RUNS["bert of pairs"]
    trained = load(make_run(trained_tokenizers[kind], classes=CLASSES, **made))
    row = row_of(TEXTS[0], trained.tokenizer, trained.objective, SECONDS[0])
    with torch.no_grad():
        found = scores_of(trained.model(inputs_of(trained, row, row.ids)))[0, row.asked[0]]
    (wanted,) = scores(trained, [row.ids])
    assert float((found - wanted[0]).abs().max()) <= 1e-5
