"""The objective of docs/extending.md, one file and one line, in the hands of the real commands."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from helpers.extending import applied, changes, ran
from helpers.paths import ROOT

from dslm.tasks.registry import LEARNED, TASKS

DSLM = ["-c", "from dslm.commands.main import main; main()"]
SHAPE = "model.layers=1 model.heads=2 model.width=16 model.sequence=16 steps=4 log_interval=1"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the library with one more objective."""
    return applied(changes()["An objective"], tmp_path_factory.mktemp("library"))


def test_its_settings_are_explained_and_checked(library: Path) -> None:
    pretrain = [*DSLM, "pretrain", "tiny"]
    shown = " ".join(ran(library, *pretrain, "--help").stdout.split())
    assert f"autoencoder | further | {' | '.join(TASKS)}; default causal" in shown
    assert "further: a token from those up to some positions before it." in shown
    assert "objective.further.distance (a whole number; default 2)" in shown
    words = ["objective.kind=further", "objective.further.distance=0", "data.train=d", "run=r"]
    lines = ran(library, *pretrain, *words).stderr
    assert "objective.further.distance = 0: must be at least 1" in lines


@pytest.mark.ranks
def test_it_is_trained_evaluated_and_asked(
    library: Path, tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    run = str(tmp_path / "run")
    words = ["tiny", *SHAPE.split(), "objective.kind=further", f"data.validation={shard_set}"]
    words += [f"data.train={shard_set}", f"run={run}", "--deepspeed_config", str(deepspeed_file)]
    trained = ran(library, *DSLM, "pretrain", *words)
    assert trained.returncode == 0, trained.stderr
    assert '--prompt "The"' in trained.stdout
    measured = ran(library, *DSLM, "evaluate", run, "--data", str(shard_set))
    assert measured.returncode == 0, measured.stderr
    assert "perplexity" in measured.stdout
    written = ran(library, *DSLM, "generate", run, "--prompt", "1 plus", "--max-new-tokens", "20")
    assert written.stdout.startswith("1 plus")
    assert len(written.stdout.rstrip("\n")) == len("1 plus") + 20


def test_no_other_room_asks_which_objective_it_has() -> None:
    classes = {objective.__name__ for objective in LEARNED.values()}
    others = [
        p for p in (ROOT / "dslm").rglob("*.py") if p.parent.name not in ("objectives", "tasks")
    ]
    for path in others:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Name) and node.id in classes), path
            assert not (isinstance(node, ast.Compare) and "objective.kind" in ast.unparse(node)), (
                path
            )
