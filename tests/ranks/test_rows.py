"""What rows are made of decides nothing about how ranks share them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.train.provenance import trace

pytestmark = pytest.mark.ranks


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two shard sets of short documents, one larger than the other."""
    folder = tmp_path_factory.mktemp("sets")
    for name, count in (("large", 900), ("small", 100)):
        lines = [f"{name} {n} of {n * n} {'and ' * (n % 5)}more." for n in range(count)]
        (folder / f"{name}.txt").write_text("\n".join(lines))
    files = [folder / "large.txt", folder / "small.txt"]
    train_tokenizer(files, folder / "tokenizer", TokenizerConfig("bpe", 300))
    sharding = ShardingConfig(folder / "tokenizer", reading=ReadingConfig(documents="line"))
    return [shard([file], folder / file.stem, sharding)[0].folder for file in files]


ROWS = {
    "packed": [
        *["data.packing=best_fit", "data.document_borders=true"],
        "objective.causal.fill_in_middle=0.5",
    ],
    "augmented": [
        *["data.augmentation.shuffle_sentences=true", "data.augmentation.drop=0.1"],
        *["data.augmentation.replace=0.1", "data.augmentation.lower_case=0.5"],
    ],
}


@pytest.mark.parametrize("rows", ROWS)
def test_one_and_two_ranks_learn_alike_from_a_mixture(
    rows: str, sets: list[Path], words: list[str], tmp_path: Path
) -> None:
    words = [word for word in words if not word.startswith("data.train=")]
    words += [f"data.train={json.dumps([str(one) for one in sets])}", "data.temperature=3"]
    words += [*ROWS[rows], "steps=8", f"data.validation={sets[1]}"]
    one, two = (launch(tmp_path / f"{n}", words, deepspeed(1), n) for n in (1, 2))
    assert (one.code, two.code) == (0, 0), one.messages + two.messages
    assert two.metrics() == pytest.approx(one.metrics(), rel=1e-5)
    for name in ("validation_loss", "validation_fim_loss"):
        assert two.metrics(name) == pytest.approx(one.metrics(name), rel=1e-5)
        assert len(one.metrics(name)) == (rows == "packed" or name == "validation_loss")
    assert ("% full" if rows == "packed" else "changed at random") in one.messages
    shares = [
        source["share"]
        for source in json.loads((one.folder / "run.json").read_text())["data"]["train"]
    ]
    assert sum(shares) == pytest.approx(1)
    assert 0.1 < shares[1] < 0.5
    seen = list(trace(two.folder, 8, 1))
    assert {run.sample for run in seen} == set(range(7 * 16 + 8, 8 * 16))
    assert all(run.documents for run in seen)
