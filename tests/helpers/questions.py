"""Questions on a short text, an uncased BERT that reads it, and files of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dslm.config.parse import parse
from dslm.tasks.coder import Coder
from dslm.tasks.example_set import Labelling
from dslm.tasks.questions import Questions
from dslm.tasks.questions_settings import QuestionsConfig
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyzé中文短江河落石。，.0123456789?"
TEXT = "The stone fell into the river at noon. 短江落石。 Before 1803 it was 12.5 m high."

PLACES = ["river", "market", "light", "field", "tower"]
THINGS = ["bread", "cloth", "grain", "paper"]
TIMES = ["noon", "dusk", "dawn", "night", "sunset"]
SMALL = ["at", "came", "to", "the", "no", "one", "saw", "it", "there", "what", "when", "who"]


def letters_in(folder: Path) -> Tokenizer:
    """An uncased BERT whose tokens are single letters and some words, made within a folder."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PLACES, *THINGS, *TIMES, *SMALL]
    words += [*LETTERS, *(f"##{one}" for one in LETTERS)]
    (folder / "vocab.txt").write_text("\n".join(words))
    load_tokenizer(folder).save(folder / "tokenizer")
    return load_tokenizer(folder / "tokenizer")


def record(name: str, question: str, *answers: str, context: str = TEXT) -> dict[str, Any]:
    found = [{"text": one, "answer_start": context.index(one)} for one in answers]
    return {"id": name, "question": question, "context": context, "answers": found}


RECORDS = [
    record("a", "What fell?", "The stone", "stone"),
    record("b", "When?", "noon", "at noon"),
    record("c", "Until when?", "1803"),
    record("d", "短江?", "落石"),
]


def nested(records: Sequence[Any], **more: Any) -> dict[str, Any]:
    """Records in SQuAD's layout, a paragraph for each."""
    paragraphs = [
        {"context": one["context"], "qas": [{k: v for k, v in one.items() if k != "context"}]}
        for one in records
    ]
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}], **more}


def lines(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in records))
    return path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def how(tokenizer: Tokenizer, full: bool = True, sequence: int = 40, **more: Any) -> Labelling:
    return Labelling(Questions, parse(QuestionsConfig, more), Coder(tokenizer, full, sequence))


def stories() -> list[dict[str, Any]]:
    """Questions on short texts, all of them of different words."""
    made = []
    for place, time in zip(PLACES, TIMES, strict=True):
        for thing in THINGS:
            text = f"At {time} {thing} came to the {place}. No one saw it there."
            name = f"{place} {thing}"
            made.append(record(f"{name} 1", f"What came to the {place}?", thing, context=text))
            made.append(record(f"{name} 2", "When?", time, context=text))
    return made
