"""One word for the precision, against what DeepSpeed's JSON says of it."""

from __future__ import annotations

import copy
from itertools import product
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from hypothesis import given
from hypothesis import strategies as st

from dslm.parallel.deepspeed_json import check as ds_check
from dslm.parallel.deepspeed_json.precision import (
    WRITTEN,
    in_own_words,
    master_size,
    moment_size,
    precision,
    sum_size,
    weight_size,
    with_precision,
)
from dslm.parallel.deepspeed_json.schema import given as said

SUMS = {"data_types": {"grad_accum_dtype": "fp32"}}
MASTERS = "bf16_master_weights_and_grads"
JSONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "all off": {kind: {"enabled": False} for kind in ("fp16", "bf16", "torch_autocast")},
    "fp32 sums": SUMS,
    "bf16": {"bf16": {"enabled": True}},
    "bf16 with fp32 sums": {"bf16": {"enabled": True}, **SUMS},
    "bf16 with bf16 sums": {
        "bf16": {"enabled": True},
        "data_types": {"grad_accum_dtype": "bf16"},
    },
    "bf16 masters": {"bf16": {"enabled": True, MASTERS: True, "bf16_optimizer_states": True}},
    "fp16": {"fp16": {"enabled": True, "loss_scale_window": 100}},
    "fp16 scaled by a constant": {"fp16": {"enabled": True, "loss_scale": 128}},
    "autocast": {"torch_autocast": {"enabled": True, "dtype": "bf16"}},
    "autocast to float16": {"torch_autocast": {"enabled": True, "dtype": "float16"}},
}
AGREE = {
    "fp32": ("nothing", "all off", "fp32 sums"),
    "bf16": ("nothing", "fp32 sums", "bf16", "bf16 with fp32 sums"),
    "bf16_autocast": ("nothing", "fp32 sums", "autocast"),
    "fp16": ("nothing", "fp32 sums", "fp16"),
    "fp8": ("nothing", "fp32 sums", "bf16", "bf16 with fp32 sums"),
}
"""What each word may stand beside."""


@pytest.mark.parametrize(("word", "name"), list(product(WRITTEN, JSONS)))
def test_the_word_fills_in_what_is_open_and_contradicts_the_rest(word: str, name: str) -> None:
    config = {**deepspeed(2), **copy.deepcopy(JSONS[name])}
    before = copy.deepcopy(config)
    made, problems = with_precision(config, word)
    assert config == before
    if name not in AGREE[word]:
        (problem,) = problems
        assert (problem.where, problem.found) == ("precision", word)
        assert "DeepSpeed's JSON" in problem.rule
        assert problem.fix
        assert made == config
        return
    assert not problems
    assert ds_check.check(made, pipeline_stages=1, cpu=word != "fp16") == []
    assert precision(made) == {"fp8": "bf16"}.get(word, word)
    assert weight_size(made) == (4 if word in ("fp32", "bf16_autocast") else 2)
    if word != "fp16":
        assert (sum_size(made), master_size(made), moment_size(made)) == (4, 4, 4)
    again, none = with_precision(made, word)
    assert (again, none) == (made, [])


@given(
    *[st.sampled_from(list(WRITTEN))] * 2,
    st.dictionaries(
        st.sampled_from(["fp16", "bf16", "torch_autocast", "data_types"]),
        st.one_of(
            st.none(),
            st.integers(),
            st.dictionaries(
                st.sampled_from(["enabled", "dtype", "grad_accum_dtype", "loss_scale", MASTERS]),
                st.one_of(st.booleans(), st.none(), st.text(max_size=3), st.sampled_from(["bf16"])),
            ),
        ),
    ),
)
def test_two_words_go_together_where_they_mean_the_same(
    one: str, other: str, config: dict[str, Any]
) -> None:
    """And whatever a JSON holds, a word either leaves it as it is or adds to it."""
    made, problems = with_precision(config, one)
    if problems:
        assert made == config
        return
    for block, values in config.items():
        if isinstance(values, dict):
            assert values.items() <= made[block].items()
        else:
            assert made[block] == values
    whole = all(said(made, path, None) == value for path, value in WRITTEN[one].items())
    if whole and one != "fp32":
        _, contradicting = with_precision(made, other)
        assert bool(contradicting) == (WRITTEN[one] != WRITTEN[other])


def test_a_mistake_in_what_the_word_wrote_names_the_word() -> None:
    config = deepspeed(2)
    made, _ = with_precision(config, "fp16")
    (problem,) = ds_check.check(made, pipeline_stages=1, cpu=True)
    assert problem.where == "fp16.enabled"
    own = in_own_words(problem, config, "fp16")
    assert (own.where, own.found) == ("precision", "fp16")
    assert own.fix == problem.fix
    assert in_own_words(problem, made, "fp16") == problem
    assert in_own_words(problem, config, None) == problem
    with_scale = {**config, "fp16": {"loss_scale": 0}}
    assert in_own_words(problem, with_scale, "fp16").where == "precision"


def test_without_a_word_the_json_is_left_alone() -> None:
    for config in JSONS.values():
        assert with_precision(config, None) == (config, [])


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        ({}, (4, 4, 4, 4)),
        (JSONS["bf16"], (2, 2, 4, 4)),
        (JSONS["bf16 with fp32 sums"], (2, 4, 4, 4)),
        (JSONS["bf16 masters"], (2, 2, 2, 2)),
        ({"bf16": {"enabled": True, MASTERS: True}}, (2, 2, 2, 4)),
        (
            {
                "bf16": {"enabled": True, MASTERS: True},
                "optimizer": {"type": "AdamW", "params": {"fp32_optimizer_states": False}},
            },
            (2, 2, 2, 2),
        ),
        (JSONS["fp16"], (2, 2, 4, 4)),
        (JSONS["autocast"], (4, 4, 4, 4)),
    ],
)
def test_the_bytes_of_each_number(config: dict[str, Any], sizes: tuple[int, ...]) -> None:
    found = (weight_size(config), sum_size(config), master_size(config), moment_size(config))
    assert found == sizes
