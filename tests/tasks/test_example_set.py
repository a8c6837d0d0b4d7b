"""Files of labelled records become examples; what is no example is counted and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from dslm.config.parse import parse
from dslm.errors import DataError
from dslm.objectives.batch import IGNORE
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.run.settings import settings
from dslm.sampling.grouped import GroupedStream
from dslm.sampling.stream import Stream
from dslm.shards.labels import labels_of, task_of
from dslm.shards.shard_set import ShardSet
from dslm.tasks.coder import Coder
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.registry import TASKS
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.train.data import objective_of, open_sources, open_stream

FILMS = [
    {"text": "a fine film", "label": "pos"},
    {"text": "a dull one", "label": "neg"},
    {"text": "fine", "label": "pos"},
]


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A token for each letter."""
    folder = tmp_path_factory.mktemp("letters")
    (folder / "text").write_text("abcdefghijklmnopqrstuvwxyz ")
    train_tokenizer([folder / "text"], folder / "tokenizer", TokenizerConfig("char", None))
    return load_tokenizer(folder / "tokenizer")


def how(letters: Tokenizer, kind: str = "classification", **settings: Any) -> Labelling:
    task = TASKS[kind]
    return Labelling(task, parse(task.config, settings), Coder(letters, False, 16))


def lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def texts(shards: ShardSet, letters: Tokenizer) -> list[str]:
    spans = [shards.document(number) for number in range(shards.documents)]
    return [letters.decode(shards.windows(np.array([a]), b - a)[0].tolist()) for a, b in spans]


def write_csv(path: Path) -> Path:
    path.write_text("text,label\n" + "".join(f'"{r["text"]}",{r["label"]}\n' for r in FILMS))
    return path


def write_list(path: Path) -> Path:
    path.write_text(json.dumps(FILMS))
    return path


def write_parquet(path: Path) -> Path:
    parquet.write_table(pa.Table.from_pylist(FILMS), path)
    return path


def write_arrow(path: Path) -> Path:
    table = pa.Table.from_pylist(FILMS)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


FILES = {
    "a.jsonl": lambda path: lines(path, FILMS),
    "a.json": write_list,
    "a.csv": write_csv,
    "a.parquet": write_parquet,
    "a.arrow": write_arrow,
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_the_same_examples(
    name: str, tmp_path: Path, letters: Tokenizer
) -> None:
    made = example_set(FILES[name](tmp_path / name), tmp_path / "set", how(letters))
    assert texts(made, letters) == [record["text"] for record in FILMS]
    task = task_of(made)
    assert task is not None
    assert task.classes == ("neg", "pos")
    assert [labels_of(made, number).tolist() for number in range(3)] == [[1], [0], [1]]


BAD: list[tuple[str, Any, str]] = [
    ("classification", {"label": "pos"}, "has no text"),
    ("classification", {"text": "", "label": "pos"}, "its text is empty"),
    ("classification", {"text": "a", "label": None}, "its label is empty"),
    ("classification", {"text": ["a", "b"], "label": "pos"}, "its text is no text"),
    ("classification", {"text": "a", "label": ["pos", "neg"]}, "its label is no single class"),
    ("classification", ["a", "b"], "cannot be read"),
    ("tagging", {"words": ["a", "b"], "tags": ["O"]}, "has 2 words but 1 tags"),
    ("tagging", {"words": ["a"]}, "has no tags"),
    ("tagging", {"text": ["a"], "spans": [[0, 1, "x"]]}, "its text is no text"),
]


@pytest.mark.parametrize(("kind", "record", "reason"), BAD)
def test_what_is_no_example_is_counted_and_named(
    kind: str, record: Any, reason: str, tmp_path: Path, letters: Tokenizer
) -> None:
    good = {"text": "a", "label": "pos", "words": ["a", "b"], "tags": ["O", "B-x"]}
    path = lines(tmp_path / "a.jsonl", [good, record, good])
    statistics = example_set(path, tmp_path / "set", how(letters, kind)).manifest.statistics
    assert statistics.documents == 2
    assert {**statistics.left_out, **statistics.broken} == {reason: 1}
    assert statistics.examples == [f"{path}:2: {reason}"]


def test_a_class_that_training_lacks_is_no_example(tmp_path: Path, letters: Tokenizer) -> None:
    path = lines(tmp_path / "a.jsonl", [*FILMS, {"text": "so so", "label": "middling"}])
    labelling = how(letters)
    known = Labelling(labelling.task, labelling.settings, labelling.coder, ("neg", "pos"))
    statistics = example_set(path, tmp_path / "set", known).manifest.statistics
    assert statistics.left_out == {"its label is none of the classes of training": 1}


def test_a_file_without_any_example_is_a_mistake(tmp_path: Path, letters: Tokenizer) -> None:
    path = lines(tmp_path / "a.jsonl", [{"body": "a", "label": "pos"}])
    with pytest.raises(DataError, match=r"a.jsonl:1: has no text"):
        example_set(path, tmp_path / "set", how(letters))
    assert not (tmp_path / "set").exists()


def test_long_texts_are_cut_and_counted_and_two_share_the_room(
    tmp_path: Path, letters: Tokenizer
) -> None:
    pair = {"text": "a" * 20, "other": "b" * 5, "label": "x"}
    labelling = how(letters, second="other")
    made = example_set(lines(tmp_path / "a.jsonl", [pair]), tmp_path / "set", labelling)
    assert made.manifest.statistics.changed == {"cut": 1}
    ends = 2 * len(labelling.coder.between)
    assert texts(made, letters) == ["a" * (16 - 5 - ends) + "b" * 5]
    assert int(made.lengths()[0]) == 16


def test_several_classes_are_flags_and_amounts_are_numbers(
    tmp_path: Path, letters: Tokenizer
) -> None:
    records = [{"text": "a", "label": ["x", "z"]}, {"text": "b", "label": []}]
    path = lines(tmp_path / "a.jsonl", [*records, {"text": "c", "label": ["y"]}])
    several = example_set(path, tmp_path / "several", how(letters, labels="several"))
    assert [labels_of(several, n).tolist() for n in range(3)] == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    path = lines(tmp_path / "b.jsonl", [{"text": "a", "label": 0.25}, {"text": "b", "label": "-3"}])
    amounts = example_set(path, tmp_path / "amounts", how(letters, labels="amount"))
    assert [labels_of(amounts, n).tolist() for n in range(2)] == [[0.25], [-3.0]]


def test_a_word_is_tagged_at_its_first_token(tmp_path: Path, letters: Tokenizer) -> None:
    record = {"words": ["ab", "c"], "tags": ["B-x", "O"]}
    made = example_set(
        lines(tmp_path / "a.jsonl", [record]), tmp_path / "set", how(letters, "tagging")
    )
    task = task_of(made)
    assert task is not None
    assert task.classes == ("O", "B-x")
    found, text = labels_of(made, 0).tolist(), texts(made, letters)[0]
    assert text == "ab c"
    assert [found[0], found[1]] == [1.0, IGNORE]
    assert [label for label in found if label != IGNORE] == [1.0, 0.0]
    assert len(found) == int(made.lengths()[0])


def test_the_same_file_is_read_once_and_gives_the_same_bytes(
    tmp_path: Path, letters: Tokenizer
) -> None:
    path = lines(tmp_path / "a.jsonl", FILMS)
    made = example_set(path, tmp_path / "set", how(letters))
    before = (made.folder / "manifest.json").stat().st_mtime_ns
    again = example_set(path, tmp_path / "set", how(letters))
    assert (again.folder / "manifest.json").stat().st_mtime_ns == before
    other = example_set(path, tmp_path / "other", how(letters))
    assert other.fingerprint == made.fingerprint
    lines(path, FILMS[:2])
    changed = example_set(path, tmp_path / "set", how(letters))
    assert changed.documents == 2


@pytest.mark.parametrize(
    ("data", "words", "times", "kind"),
    [
        ("{one}", [], 342, GroupedStream),
        ("{one}", [], 341, Stream),
        ('["{one}", "{two}"]', [], 171, GroupedStream),
        ("{one}", ["data.length_groups=false"], 342, Stream),
        ('{{"{one}": 1, "{two}": 3}}', [], 342, Stream),
    ],
)
def test_many_examples_come_in_groups_of_a_length_unless_they_are_weighted(
    data: str, words: list[str], times: int, kind: type, tmp_path: Path, letters: Tokenizer
) -> None:
    file = lines(tmp_path / "a.jsonl", times * FILMS)
    sets = {one: example_set(file, tmp_path / one, how(letters)).folder for one in ("one", "two")}
    words = ["tiny", "run=run", "objective.kind=classification", *words]
    config = settings([*words, f"data.train={data.format(**sets)}", "model.sequence=16"], None)
    sources = open_sources(config.data)
    stream = open_stream(sources, config, objective_of(config, sources.train[0].tokenizer))
    assert type(stream) is kind
    labels = stream.samples(0, 6).labels
    assert labels is not None
    assert len(labels) == 6
