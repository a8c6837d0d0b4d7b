"""What it takes to add a step: one file, and one line of the table in `pipeline`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT

FILE = '''\
"""Leave out documents that ask more than they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.preprocess.clean.step import Filter
from dslm.preprocess.document import Document


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ManyQuestionsConfig:
    """How much a document may ask."""

    on: bool = False
    """Whether documents that ask too much are left out."""
    most: Annotated[int, Field(ge=0)] = 2
    """Most question marks."""


class ManyQuestions(Filter):
    """The step that leaves out documents of many questions."""

    presets = ("web",)

    def reasons(self, documents: Sequence[Document]) -> list[str | None]:
        """``many questions`` for what is not to be kept."""
        most = self._settings.most
        return ["many questions" if one.text.count("?") > most else None for one in documents]
'''
LINE = '    "many_questions",\n'
USE = """\
import json
from collections import Counter
from dslm.config.help import describe
from dslm.config.parse import parse
from dslm.errors import ConfigError
from dslm.preprocess.clean.pipeline import Cleaner, CleaningConfig
from dslm.preprocess.clean.presets import PRESETS
from dslm.preprocess.document import Document

web = parse(CleaningConfig, PRESETS["web"]()["cleaning"])
found = {"help": describe(CleaningConfig, {}), "web": web.active, "left": []}
cleaning = parse(CleaningConfig, {"many_questions": {"on": True, "most": 1}})
documents = [Document("Who? Me."), Document("Who? Me? Why?")]
kept = Cleaner(cleaning)(documents, Counter(), lambda one: found["left"].append(one.reason))
found["kept"] = [document.text for document in kept]
try:
    parse(CleaningConfig, {"many_questions": {"most": -1}})
except ConfigError as error:
    found["mistake"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the library does when it has a step more."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(ROOT / "dslm", folder / "dslm", ignore=shutil.ignore_patterns("__pycache__"))
    rooms = folder / "dslm" / "preprocess" / "clean"
    (rooms / "many_questions.py").write_text(FILE, encoding="utf-8")
    pipeline = rooms / "pipeline.py"
    before = pipeline.read_text(encoding="utf-8")
    pipeline.write_text(before.replace('    "quality",\n', LINE + '    "quality",\n'), "utf-8")
    return _run(folder)


def _run(folder: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", USE]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_its_settings_are_keys_with_their_meaning(found: dict[str, Any]) -> None:
    assert "  many_questions.most  (a whole number; default 2)" in found["help"]
    assert "Most question marks." in found["help"]


def test_its_settings_are_checked(found: dict[str, Any]) -> None:
    assert "many_questions.most" in found["mistake"]
    assert "at least 0" in found["mistake"]


def test_it_takes_part_and_reports_its_reason(found: dict[str, Any]) -> None:
    assert found["kept"] == ["Who? Me."]
    assert found["left"] == ["many questions"]


def test_it_has_its_position_in_the_presets_that_it_names(found: dict[str, Any]) -> None:
    position = found["web"].index("many_questions")
    assert found["web"][position - 1 : position + 2] == ["language", "many_questions", "quality"]
