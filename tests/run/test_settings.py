"""The layers that the settings of a run are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslm.errors import ConfigError
from dslm.run.paths import is_held_out
from dslm.run.settings import settings

REQUIRED = ["data.train=shards", "run=runs/a"]


def problems(words: list[str], file: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings([*words, *REQUIRED], file and str(file))
    return [str(problem) for problem in caught.value.problems]


def test_a_wrong_value_of_a_file_says_that_it_comes_from_there(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"steps": 0, "seed": 1.5, "model": {"width": "8"}}')
    assert problems(["tiny", "seed=2.5"], file) == [
        f"model.width = '8': must be a whole number; write model.width=8 (from --config {file})",
        f"steps = 0: must be at least 1 (from --config {file})",
        "seed = 2.5: must be a whole number",
    ]


def test_an_old_name_on_the_command_line_lies_over_the_new_one_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"model": {"bottleneck_width": 4}}')
    words = ["autoencoder_small", *REQUIRED, "model.code_width=8"]
    assert settings(words, str(file)).model.bottleneck_width == 8


def test_what_the_objective_decides_lies_below_what_the_user_says() -> None:
    words = ["tiny", *REQUIRED, "objective.kind=masked"]
    assert settings(words, None).model.attention == "full"
    assert settings([*words, "model.attention=causal"], None).model.attention == "causal"


def test_another_objective_takes_none_of_the_presets_settings() -> None:
    config = settings(["bert_tiny", *REQUIRED, "objective.kind=causal"], None)
    assert config.objective.masked.pairs == "none"
    same = settings(["bert_tiny", *REQUIRED, "objective.kind=masked"], None)
    assert same.objective.masked.pairs == "next_sentence"


def test_a_preset_that_is_not_there_hides_no_other_mistake() -> None:
    first, second = problems(["tinny", "steps=0"])
    assert first == "preset = 'tinny': there is no such preset; did you mean 'tiny'?"
    assert second == "steps = 0: must be at least 1"


def test_a_set_is_held_out_by_the_first_word_of_its_name() -> None:
    held_out = "val valid Validation val-2 test test_2 dev dev.en eval1 evaluation held_out holdout"
    trained = "values validated testimonies devanagari developer evaluate train a-test"
    assert [name for name in held_out.split() if not is_held_out(f"shards/{name}")] == []
    assert [name for name in trained.split() if is_held_out(f"test/{name}")] == []


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["init_from=None"], ["init_from"]),
        (["init_from=~nobodyatall/x", "run=$RUNS/a"], ["run", "init_from"]),
        (["data.train=s3://a/b", "data.validation=None"], ["data.validation", "data.train"]),
        (["run=", "steps=0", "init_from=runs/nowhere"], ["run", "init_from", "steps"]),
        (["preset=fine_tune", "init_from=None"], ["init_from"]),
    ],
)
def test_a_spoilt_path_is_reported_once_and_used_for_nothing(
    words: list[str], keys: list[str]
) -> None:
    given = ["preset=tiny", *REQUIRED, *words]
    latest = {word.partition("=")[0]: word for word in given}
    with pytest.raises(ConfigError) as caught:
        settings(list(latest.values()), None)
    assert [problem.where for problem in caught.value.problems] == keys
