"""The shares of a mixture change at a resume, and the run goes on exactly from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.deepspeed_json import MODEL, deepspeed
from helpers.launching import Ended, launch

from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.train.provenance import trace

pytestmark = pytest.mark.ranks


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three shard sets of one tokenizer."""
    folder = tmp_path_factory.mktemp("sets")
    for name, sign in (("1", "+"), ("2", "*"), ("3", "-")):
        text = " ".join(f"{n} {sign} {n} is known." for n in range(400))
        (folder / f"{name}.txt").write_text(text)
    texts = sorted(folder.glob("*.txt"))
    train_tokenizer(texts, folder / "tokenizer", TokenizerConfig("char", None))
    for text in texts:
        shard([text], folder / text.stem, ShardingConfig(folder / "tokenizer"))
    return [folder / text.stem for text in texts]


def train(run: Path, sets: list[Path], weights: list[int], steps: int, ranks: int = 1) -> Ended:
    named = json.dumps(dict(zip(map(str, sets), weights, strict=False)))
    words = ["tiny", *MODEL, f"data.train={named}", f"steps={steps}", "evaluation_interval=1000"]
    more = ["schedule.kind=constant", "schedule.warmup_steps=0", "log_interval=1"]
    return launch(run, [*words, *more], deepspeed(1), ranks)


def sources(run: Path, step: int, sets: list[Path]) -> list[int]:
    """How many samples of each set a step saw."""
    seen = [sample.folder for sample in trace(run, step, None)]
    return [seen.count(folder) for folder in sets]


def test_shares_change_at_a_resume_and_a_source_is_added(sets: list[Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    for weights, steps in (([1, 1], 2), ([3, 1], 4), ([1, 1, 2], 6)):
        ended = train(run, sets, weights, steps)
        assert ended.code == 0, ended.messages
    state = json.loads((run / "checkpoints/step-00000006/state.json").read_text())
    phases = [
        {"sample": 0, "weights": [1, 1, 0]},
        {"sample": 32, "weights": [3, 1, 0]},
        {"sample": 64, "weights": [1, 1, 2]},
    ]
    assert state["mixture"] == phases
    assert json.loads((run / "run.json").read_text())["data"]["mixture"] == phases
    seen = [sources(run, step, sets) for step in range(1, 7)]
    assert seen == [[8, 8, 0]] * 2 + [[12, 4, 0]] * 2 + [[4, 4, 8]] * 2
    shutil.copytree(run, tmp_path / "other")
    one = train(run, sets, [1, 1, 2], 9)
    two = train(tmp_path / "other", sets, [2, 2, 4], 9, ranks=2)
    assert one.code == two.code == 0, two.messages
    assert one.metrics() == pytest.approx(two.metrics(), rel=1e-5)


def test_what_allows_no_change_is_refused(sets: list[Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(run, sets[:2], [1, 1], 2).code == 0
    for others in ([sets[1], sets[0]], sets[:1]):
        refused = train(run, others, [1, 1], 4)
        assert refused.code == 2
        assert "is not what the run in this folder is trained on" in refused.messages
