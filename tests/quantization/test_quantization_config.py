"""Settings of quantization: every mistake has its sentence."""

from __future__ import annotations

from typing import Any

import pytest

from dslm.errors import ConfigError
from dslm.quantization.config import SCHEMES, QuantizationConfig, check_quantization
from dslm.run.settings import settings

WORDS = ["tiny", "data.train=shards", "run=run"]


def problems(*words: str) -> str:
    from dslm.run.check import check_run

    return "\n".join(map(str, check_run(settings([*WORDS, *words], None))))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quantization.scheme=w4", "quantization.group_size=48"], "does not divide model.width"),
        (["quantization.scheme=w8a8", "quantization.group_size=7"], "use 16 or 32 or 64"),
        (["quantization.scheme=w4", "model.width=60"], "does not divide model.width = 60"),
        (["quantization.scheme=w4", "model.feed_forward=100"], "model.feed_forward = 100"),
        (["quantization.group_size=32"], "set quantization.scheme"),
        (["quantization.start_step=3"], "set quantization.scheme"),
        (["quantization.layers=all"], "set quantization.scheme"),
        (["quantization.scheme=w4", "quantization.start_step=50", "steps=50"], "none of steps"),
    ],
)
def test_a_mistake_is_reported_with_its_fix(words: list[str], said: str) -> None:
    assert said in problems(*words)


def test_an_unknown_scheme_is_reported_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"quantization\.scheme.*w5.*w8a8"):
        settings([*WORDS, "quantization.scheme=w5"], None)


def test_recurrent_blocks_have_nothing_to_round() -> None:
    config = QuantizationConfig(scheme="w8a8")
    (problem,) = check_quantization(config, {})
    assert "recurrent" in problem.rule


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_fits_widths_of_whole_groups(scheme: Any) -> None:
    config = QuantizationConfig(scheme=scheme)
    assert not list(check_quantization(config, {"model.width": 64, "model.feed_forward": 256}))


def test_rounding_begins_at_its_step() -> None:
    config = QuantizationConfig(scheme="w4", start_step=3)
    assert [config.rounds(step) for step in range(5)] == [False, False, False, True, True]
    assert not QuantizationConfig().rounds(9)
