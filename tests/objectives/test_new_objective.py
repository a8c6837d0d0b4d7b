"""A new objective is one file and one line: nothing else in the library is touched."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

from dslm.objectives.registry import OBJECTIVES

FURTHER = '''
"""Predict not the next token but one further on."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.objectives.base import Context, Objective
from dslm.objectives.batch import Batch, as_batch
from dslm.sampling.stream import Samples, WindowSpec


@dataclass(config=STRICT, frozen=True, kw_only=True)
class FurtherConfig:
    """Tokens further on."""

    distance: Annotated[int, Field(ge=1)] = 2
    """How many tokens further on the predicted one is."""


class Further(Objective):
    """Rows of S + `distance` tokens become S inputs and, so many positions on, S labels."""

    kind = "further"
    meaning = "a token from those up to some positions before it"
    config = FurtherConfig

    def __init__(self, settings: FurtherConfig, context: Context) -> None:
        super().__init__(settings, context)
        self.window = WindowSpec(context.sequence, overlap=settings.distance)

    def batch(self, samples: Samples) -> Batch:
        """Inputs and labels, [B, S] each."""
        rows, sequence = samples.tokens.astype(np.int64), self.context.sequence
        return as_batch([rows[:, :sequence]], [rows[:, -sequence:]])
'''

COMMAND = """
import sys
from importlib import import_module
from dslm.commands.cli import run
name, *words = sys.argv[1:]
sys.exit(run(import_module(f"dslm.commands.{name}").main, words))
"""

SHAPE = "model.layers=1 model.heads=2 model.width=16 model.sequence=16 steps=4 log_interval=1"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the library with one more objective."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(ROOT / "dslm", folder / "dslm", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "dslm/objectives/further.py").write_text(FURTHER)
    table = folder / "dslm/objectives/registry.py"
    line, imported = "        Autoencoder,\n", "from dslm.objectives.further import Further\n"
    text = table.read_text().replace(line, f"{line}        Further,\n")
    table.write_text(
        text.replace("from dslm.objectives.masked", f"{imported}from dslm.objectives.masked")
    )
    return folder


def ran(library: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(library), "DS_ACCELERATOR": "cpu"}
    command = [sys.executable, "-c", COMMAND, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=180, env=environment, cwd=library
    )


def test_its_settings_are_explained_and_checked(library: Path) -> None:
    shown = " ".join(ran(library, "pretrain", "tiny", "--help").stdout.split())
    assert "autoencoder | further; default causal" in shown
    assert "further: a token from those up to some positions before it." in shown
    assert "objective.further.distance (a whole number; default 2)" in shown
    words = ["tiny", "objective.kind=further", "objective.further.distance=0", "data.train=d"]
    lines = ran(library, "pretrain", *words, "run=r").stderr
    assert "objective.further.distance = 0: must be at least 1" in lines


@pytest.mark.ranks
def test_it_is_trained_evaluated_and_asked(
    library: Path, tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    run = str(tmp_path / "run")
    words = ["tiny", *SHAPE.split(), "objective.kind=further", f"data.validation={shard_set}"]
    deepspeed = ["--deepspeed_config", str(deepspeed_file)]
    trained = ran(library, "pretrain", *words, f"data.train={shard_set}", f"run={run}", *deepspeed)
    assert trained.returncode == 0, trained.stderr
    assert '--prompt "The"' in trained.stdout
    measured = ran(library, "evaluate", run, "--data", str(shard_set))
    assert measured.returncode == 0, measured.stderr
    assert "perplexity" in measured.stdout
    written = ran(library, "generate", run, "--prompt", "1 plus", "--max-new-tokens", "20")
    assert written.stdout.startswith("1 plus")
    assert len(written.stdout.rstrip("\n")) == len("1 plus") + 20


def test_no_other_room_knows_an_objective_by_its_class() -> None:
    classes = {objective.__name__ for objective in OBJECTIVES.values()}
    for path in (ROOT / "dslm").rglob("*.py"):
        if path.parent.name != "objectives":
            names = {
                node.id
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Name)
            }
            assert not names & classes, path


def test_no_other_room_compares_the_kind_of_an_objective() -> None:
    for path in (ROOT / "dslm").rglob("*.py"):
        nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Compare)]
        assert not [node for node in nodes if "objective.kind" in ast.unparse(node)], path
