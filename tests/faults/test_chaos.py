"""`dslm chaos`: every fault of the table happens to real ranks under the real launcher."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dslm.chaos.bench import Bench
from dslm.chaos.rows import ROWS, Row
from dslm.chaos.table import Outcome, tried
from dslm.commands.chaos import SMALL
from dslm.errors import TrainingError

pytestmark = pytest.mark.ranks


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Iterator[Bench]:
    """A tiny run of two ranks."""
    bench = Bench(tmp_path_factory.mktemp("chaos"), words, None, SMALL, 2, 1, 2)
    yield bench
    bench.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"row {row.key}: {row.name}")
def test_a_run_survives(row: Row, bench: Bench) -> None:
    outcome: Outcome = tried(row, bench)
    assert (outcome.failed, outcome.verdict) == ((), "survived"), outcome.notes


def test_a_command_with_mistakes_is_refused_before_anything_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dslm.commands.chaos", "tiny", "--only", "15"]
    ended = subprocess.run(
        [*command, "--output", str(tmp_path / "out")], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert "--only = '15': there is no such row" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_that_ends_badly_by_itself_is_no_measure(tmp_path: Path, words: list[str]) -> None:
    bench = Bench(tmp_path, [*words, "data.train=nowhere"], None, SMALL, 2, 1, 2)
    with pytest.raises(TrainingError, match="does not end well even without a fault"):
        _ = bench.reference
