"""A new objective is one file and one line: nothing else in the library is touched."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from helpers.extending import applied, changes, ran
from helpers.paths import ROOT

from dslm.objectives.registry import OBJECTIVES

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
    """A copy of the library with the objective that docs/extending.md adds."""
    return applied(changes()["An objective"], tmp_path_factory.mktemp("library"))


def test_its_settings_are_explained_and_checked(library: Path) -> None:
    shown = " ".join(ran(library, "-c", COMMAND, "pretrain", "tiny", "--help").stdout.split())
    assert "autoencoder | further; default causal" in shown
    assert "further: a token from those up to some positions before it." in shown
    assert "objective.further.distance (a whole number; default 2)" in shown
    words = ["tiny", "objective.kind=further", "objective.further.distance=0", "data.train=d"]
    lines = ran(library, "-c", COMMAND, "pretrain", *words, "run=r").stderr
    assert "objective.further.distance = 0: must be at least 1" in lines


@pytest.mark.ranks
def test_it_is_trained_evaluated_and_asked(
    library: Path, tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    run = str(tmp_path / "run")
    words = ["tiny", *SHAPE.split(), "objective.kind=further", f"data.validation={shard_set}"]
    deepspeed = ["--deepspeed_config", str(deepspeed_file)]
    trained = ran(
        library,
        "-c",
        COMMAND,
        "pretrain",
        *words,
        f"data.train={shard_set}",
        f"run={run}",
        *deepspeed,
    )
    assert trained.returncode == 0, trained.stderr
    assert '--prompt "The"' in trained.stdout
    measured = ran(library, "-c", COMMAND, "evaluate", run, "--data", str(shard_set))
    assert measured.returncode == 0, measured.stderr
    assert "perplexity" in measured.stdout
    written = ran(
        library, "-c", COMMAND, "generate", run, "--prompt", "1 plus", "--max-new-tokens", "20"
    )
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
