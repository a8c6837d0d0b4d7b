"""What follows from the file and the line of docs/extending.md that add a step of cleaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers.extending import applied, changes, ran

USE = """\
import json
from dslm.config.help import describe
from dslm.config.parse import parse
from dslm.errors import ConfigError
from dslm.preprocess.clean.pipeline import CleaningConfig, STEPS
from dslm.preprocess.clean.presets import PRESETS

found = {"help": describe(CleaningConfig, {})}
STEPS["capitals"].presets = ("web",)
found["web"] = parse(CleaningConfig, PRESETS["web"]()["cleaning"]).active
try:
    parse(CleaningConfig, {"capitals": {"share": 2}})
except ConfigError as error:
    found["mistake"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the library with the step makes of it."""
    library = applied(changes()["A cleaning rule"], tmp_path_factory.mktemp("library"))
    done = ran(library, "-c", USE)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_its_settings_are_keys_with_their_meaning(found: dict[str, Any]) -> None:
    assert "capitals.share  (a number; default 0.5)" in found["help"]
    assert "The share of letters from which on it is too many." in found["help"]


def test_its_settings_are_checked(found: dict[str, Any]) -> None:
    assert "capitals.share = 2: must be at most 1" in found["mistake"]


def test_its_position_in_a_preset_is_that_of_its_line(found: dict[str, Any]) -> None:
    assert found["web"][-3:] == ["repetition", "capitals", "personal"]
