"""Words of other trainers: each is answered with a word that exists here."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dslm.config.foreign import ANSWERS, KEYS, answer
from dslm.config.foreign_sentences import SENTENCES
from dslm.config.foreign_words import FLAGS, SAME_MEANING, VALUES
from dslm.config.help import keys
from dslm.config.overrides import Written
from dslm.parallel.deepspeed_json.check import paths
from dslm.parallel.deepspeed_json.overrides import PREFIX, SHORT
from dslm.run.config import RENAMED, RunConfig

KNOWN = keys(RunConfig)


def exists(key: str) -> bool:
    return key in KNOWN or key in SHORT or key.removeprefix(PREFIX) in paths()


def test_every_answer_is_a_key_that_exists() -> None:
    written = [word.partition("=")[0] for word in FLAGS.values()]
    assert [key for key in (*SAME_MEANING, *VALUES, *written) if not exists(key)] == []


def test_every_value_that_is_written_is_one_that_the_key_takes() -> None:
    wrong = [
        (key, value)
        for key, table in VALUES.items()
        for value in table
        if key in KNOWN and value not in KNOWN[key].options
    ]
    assert wrong == []


def test_no_word_has_two_answers_and_none_is_a_key_of_ours() -> None:
    count = Counter(
        name for names in (*SAME_MEANING.values(), *SENTENCES) for name in names.split()
    )
    count.update([*FLAGS])
    assert [name for name, times in count.items() if times > 1] == []
    assert ({*KNOWN, *RENAMED} - {"model", "data"}) & set(count) == set()


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        ("n_embd", 64, "write model.width=64"),
        ("model.n_embd", 64, "write model.width=64"),
        ("N-EMBD", 64, "write model.width=64"),
        ("n_embd", "wide", "write model.width=…, a whole number"),
        ("lr_scheduler_type", "constant_with_warmup", "write schedule.kind=constant"),
        ("learning_rate", Written("3e-4"), "write lr=3e-4"),
        ("torch_dtype", "torch.bfloat16", "write precision=bf16"),
        ("bf16", True, "write precision=bf16"),
        ("bf16", False, "leave it out"),
        ("resume", True, "leave it out"),
        (
            "overwrite_output_dir",
            True,
            "leave it out; to start over choose another run=, or remove the folder first",
        ),
        ("optim", "adamw_torch", "write ds.optimizer.type=AdamW"),
        ("out_dir", "my runs/a", "write run='my runs/a'"),
    ],
)
def test_the_fix_is_the_word_to_type(key: str, value: Any, fix: str) -> None:
    said = answer(key, value, KNOWN)
    assert said is not None
    assert said.fix == fix


def test_an_option_outside_the_few_is_answered_with_these() -> None:
    said = answer("lr_scheduler_type", "cosine_with_restarts", KNOWN)
    assert said is not None
    assert "(constant or linear or cosine" in said.fix


def test_a_block_and_an_unknown_word_have_no_answer() -> None:
    assert answer("n_embd", {"a": 1}, KNOWN) is None
    assert answer("colour", "blue", KNOWN) is None


def test_every_sentence_says_what_to_do() -> None:
    assert len(ANSWERS) + len(KEYS) > 400
    assert [names for names, (rule, fix) in SENTENCES.items() if not rule or not fix] == []
