"""The settings of duplicates."""

from __future__ import annotations

import pytest

from dslm.config.parse import parse
from dslm.errors import ConfigError
from dslm.preprocess.deduplicate.settings import Duplicates


@pytest.mark.parametrize("key", ["documents", "paragraphs", "near"])
def test_there_is_something_to_do_when_one_thing_is_on(key: str) -> None:
    assert parse(Duplicates, {key: True}).any
    assert not Duplicates().any


@pytest.mark.parametrize(("key", "value"), [("threshold", 0.0), ("threshold", 1.1), ("bands", 0)])
def test_a_value_out_of_range_is_named(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=key):
        parse(Duplicates, {key: value})
