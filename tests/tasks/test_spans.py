"""Entities of a text without words come back as the very spans that a record has."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as some
from tokenizers import decoders, models, pre_tokenizers, trainers

from dslm.config.parse import parse
from dslm.objectives.base import Context
from dslm.objectives.batch import IGNORE
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.shards.labels import labels_of, reference_of, task_of
from dslm.tasks.coder import Coder
from dslm.tasks.example import Example, Prediction, UnusableError
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.spans import as_spans, example_of, placed, tags_that_may_occur, units
from dslm.tasks.tagging import Tagging, TaggingConfig
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import Vocabulary

HAN = "中华人民共和国北京上海张伟王芳在大学。，"
LETTERS = HAN + "ab1 \n　😀é"
PLACES = ("LOC", "PER", "组织")
CLASSES = tuple(sorted(tags_that_may_occur(PLACES), key=lambda tag: (tag != "O", tag)))
KINDS = ("char", "unigram", "bert", "bytes")
"""A token for each letter; for many together; a token for each Chinese one; for less than one."""
FRAMED = 200
"""Tokens that the model reads."""


def write_bert(folder: Path) -> None:
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *HAN, "ab", "##1", "a", "e"]
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words))


def write_bytes(folder: Path, text: str) -> None:
    """A byte-level BPE that has learned few merges, so that most letters are several tokens."""
    folder.mkdir()
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet, show_progress=False)
    model.train_from_iterator([text], trainer)
    model.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def coders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Coder]:
    folder, draw = tmp_path_factory.mktemp("tokenizers"), random.Random(0)
    words = ["中华人民共和国", "北京大学", "张伟", "在", "，", "ab1", " ", "。\n"]
    text = "".join(draw.choices(words, k=2000)) + LETTERS
    (folder / "text").write_text(text)
    for kind, size in (("char", None), ("unigram", 300)):
        train_tokenizer([folder / "text"], folder / kind, TokenizerConfig(kind, size))
    write_bert(folder / "bert")
    write_bytes(folder / "bytes", text)
    return {kind: Coder(load_tokenizer(folder / kind), True, FRAMED) for kind in KINDS}


@some.composite
def records(draw: some.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    """A text, and spans of it that do not overlap."""
    text = draw(some.text(LETTERS, min_size=1, max_size=40))
    borders = sorted(draw(some.sets(some.integers(0, len(text)), max_size=8)))
    pairs = zip(borders[::2], borders[1::2], strict=False)
    kinds = some.sampled_from(PLACES)
    return text, [{"start": a, "end": b, "label": draw(kinds)} for a, b in pairs]


def read_back(example: Any) -> list[dict[str, Any]]:
    numbers = [int(label) for label in example.labels if label != IGNORE]
    return as_spans(placed(numbers, example.reference["units"]), CLASSES)


def made_of(text: str, spans: Any, coder: Coder) -> Example | str:
    """An example, or why it is none."""
    try:
        return example_of(text, spans, CLASSES, coder)
    except UnusableError as refused:
        return str(refused)


@pytest.mark.parametrize("kind", KINDS)
@given(record=records())
def test_spans_are_written_back_as_they_were_read(
    kind: str, record: tuple[str, list[dict[str, Any]]], coders: dict[str, Coder]
) -> None:
    (text, spans), coder = record, coders[kind]
    example = made_of(text, spans, coder)
    if isinstance(example, str):
        pieces = units(coder.tokenizer, text, coder.ids(text))
        starts, ends = {one.start for one in pieces}, {one.end for one in pieces}
        cut = [one for one in spans if one["start"] not in starts or one["end"] not in ends]
        assert cut or not text.strip()
        if text.strip():
            assert example == "a span of it begins or ends within a token"
        return
    assert read_back(example) == spans
    assert len(example.ids) == len(example.labels)
    triples = [[one["start"], one["end"], one["label"]] for one in spans]
    assert example_of(text, triples[::-1], CLASSES, coder) == example


@pytest.mark.parametrize("kind", ["char", "unigram", "bytes"])
@given(text=some.text(LETTERS, min_size=1, max_size=40))
def test_units_are_the_text_of_their_tokens(kind: str, text: str, coders: dict[str, Coder]) -> None:
    tokenizer = coders[kind].tokenizer
    ids = coders[kind].ids(text)
    found = units(tokenizer, text, ids)
    ends = [*(one.token for one in found[1:]), len(ids)]
    for one, end in zip(found, ends, strict=False):
        assert tokenizer.decode(ids[one.token : end]).strip() == text[one.start : one.end]
    assert kind != "char" or len(found) == len("".join(text.split()))


@given(text=some.text(LETTERS, min_size=1, max_size=40))
def test_units_begin_where_the_library_says_that_tokens_do(
    text: str, coders: dict[str, Coder]
) -> None:
    coder = coders["bert"]
    oracle: Any = coder.tokenizer
    offsets = oracle._model.encode(text, add_special_tokens=False).offsets
    found = units(coder.tokenizer, text, coder.ids(text))
    assert [(one.start, one.end) for one in found] == offsets


def test_a_span_of_han_letters_is_never_refused_by_their_tokens(coders: dict[str, Coder]) -> None:
    draw = random.Random(2)
    for _ in range(50):
        text = "".join(draw.choices(HAN, k=12))
        start, end = sorted(draw.sample(range(13), 2))
        for kind in ("char", "bert"):
            made = example_of(text, [[start, end, "PER"]], CLASSES, coders[kind])
            assert read_back(made) == [{"start": start, "end": end, "label": "PER"}], kind


WRONG: list[tuple[Any, str]] = [
    ("PER", "its spans are no list"),
    ([[0, 2]], "a span of it is not start, end and label"),
    ([{"start": 0, "stop": 2, "label": "PER"}], "a span of it is not start, end and label"),
    ([[0, "2", "PER"]], "a span of it is not start, end and label"),
    ([[True, 2, "PER"]], "a span of it is not start, end and label"),
    ([[0, 2, ""]], "a span of it is not start, end and label"),
    ([[2, 2, "PER"]], "a span of it is empty or outside its text"),
    ([[-1, 2, "PER"]], "a span of it is empty or outside its text"),
    ([[5, 8, "PER"]], "a span of it is empty or outside its text"),
    ([[0, 3, "PER"], [2, 4, "LOC"]], "its spans overlap"),
    ([[0, 3, "PER"], [0, 3, "PER"]], "its spans overlap"),
    ([[4, 5, "PER"]], "a span of it begins or ends within a token"),
    ([[0, 2, "GOD"]], "its label GOD is none of those of training"),
]


@pytest.mark.parametrize(("spans", "reason"), WRONG)
def test_spans_that_say_nothing_are_counted_and_named(
    spans: Any, reason: str, tmp_path: Path, coders: dict[str, Coder]
) -> None:
    good = {"text": "张伟在北京ab", "spans": [[0, 2, "PER"], [3, 5, "LOC"]]}
    path, bad = tmp_path / "a.jsonl", {"text": "张伟在 ab1", "spans": spans}
    path.write_text("".join(f"{json.dumps(one)}\n" for one in (good, bad, good)))
    how = Labelling(Tagging, TaggingConfig(), coders["bert"], CLASSES)
    made = example_set(path, tmp_path / "set", how)
    assert made.documents == 2
    assert made.manifest.statistics.left_out == {reason: 1}
    assert made.manifest.statistics.examples == [f"{path}:2: {reason}"]


def test_a_text_that_is_too_long_is_cut_within_no_entity(coders: dict[str, Coder]) -> None:
    short = Coder(coders["bert"].tokenizer, True, 2 + 5)
    made = example_of("张伟在北京大学，王芳", [[0, 2, "PER"], [3, 7, "LOC"]], CLASSES, short)
    assert made.shortened
    assert len(made.ids) == len(made.labels) == 7
    assert read_back(made) == [{"start": 0, "end": 2, "label": "PER"}]
    with pytest.raises(UnusableError, match="has no text that can be tagged"):
        example_of("北京大学在中国", [[0, 7, "LOC"]], CLASSES, short)


def test_metrics_are_those_of_spans_and_predictions_are_spans(
    tmp_path: Path, coders: dict[str, Coder]
) -> None:
    lines = [
        {"text": "张伟在北京", "spans": [[0, 2, "PER"], [3, 5, "LOC"]]},
        {"text": "王芳在上海大学", "spans": [[0, 2, "PER"]]},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    coder = coders["bert"]
    made = example_set(path, tmp_path / "set", Labelling(Tagging, TaggingConfig(), coder))
    known = task_of(made)
    assert known is not None
    assert known.classes == ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")
    task = Tagging(parse(TaggingConfig, {}), context(coder.tokenizer))
    gold = [[int(n) for n in labels_of(made, i) if n != IGNORE] for i in range(2)]
    given_tags = [gold[0], ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O", "O"]]
    given_tags[1] = [known.classes.index(str(tag)) for tag in given_tags[1]]
    found = task.of_records(
        [*map(Prediction, gold, given_tags)], [reference_of(made, number) for number in range(2)]
    )
    assert [task.named(one.gold, known.classes) for one in found] == [
        [{"start": a, "end": b, "label": c} for a, b, c in one["spans"]] for one in lines
    ]
    assert task.named(found[1].found, known.classes) == [
        {"start": 0, "end": 2, "label": "PER"},
        {"start": 3, "end": 5, "label": "LOC"},
    ]
    scores = task.scores(found, known.classes, 0, resamples=0)
    assert scores["precision"].value == pytest.approx(3 / 4)
    assert scores["recall"].value == 1
    assert list(scores) == list(task.metrics(known.classes))


def context(tokenizer: Tokenizer) -> Context:
    return Context(FRAMED, 0, False, Vocabulary(tokenizer.vocabulary, tokenizer.special, None))
