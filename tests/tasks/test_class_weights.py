"""Weights of classes, counted as in scikit-learn or named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from dslm.config.parse import parse
from dslm.shards.shard_set import ShardSet
from dslm.tasks.class_weights import check_class_weights, weights_of
from dslm.tasks.coder import Coder
from dslm.tasks.example_set import Labelling, example_set
from dslm.tasks.registry import TASKS
from dslm.tokenizers.load import load_tokenizer

TAGS = [["O", "B"], ["O", "O", "O"], ["I"], ["O", "B", "O"]]
NAMES = ("O", "B", "I")


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory, unigram: Path) -> ShardSet:
    folder = tmp_path_factory.mktemp("tagged")
    records = [{"words": ["stone"] * len(tags), "tags": tags} for tags in TAGS]
    (folder / "records.jsonl").write_text("\n".join(map(json.dumps, records)))
    task, coder = TASKS["tagging"], Coder(load_tokenizer(unigram), True, 24)
    how = Labelling(task, parse(task.config, {}), coder, NAMES)
    return example_set(folder / "records.jsonl", folder / "set", how)


def test_balanced_weights_are_those_of_scikit_learn(tagged: ShardSet) -> None:
    flat = [tag for tags in TAGS for tag in tags]
    expected = compute_class_weight("balanced", classes=np.array(NAMES), y=flat)
    assert weights_of("balanced", NAMES, [tagged]) == pytest.approx(expected.tolist())
    settings = parse(TASKS["tagging"].config, {"class_weights": "balanced"})
    found = TASKS["tagging"].class_weights(settings, [tagged, tagged])
    assert found == pytest.approx(expected.tolist())


def test_a_class_that_is_not_named_counts_one() -> None:
    assert weights_of({"B": 5.0}, NAMES, []) == (1.0, 5.0, 1.0)


def test_a_name_that_is_no_class_is_a_mistake() -> None:
    (problem,) = check_class_weights("tagging", {"B": 5.0, "X": 2.0}, NAMES)
    assert str(problem).startswith("objective.tagging.class_weights.X = 2.0")
