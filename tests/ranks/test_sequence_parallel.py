"""Ranks that share rows train as one rank does that has them alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch
from safetensors.torch import load_file
from torch import Tensor

from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig

pytestmark = pytest.mark.ranks

STEPS = 20
SHAPE = ["model.layers=2", "model.heads=4", "model.width=32", "model.sequence=32"]
LLAMA = ["model.positions=rotary", "model.key_value_heads=2", "model.norm=rms", "model.bias=false"]
APART = ["tiny", *LLAMA, "data.document_borders=true", "model.dropout=0.1"]
"""Grouped heads, rotary positions, several documents in a row, dropout."""
SCHEDULE = ["schedule.kind=constant", "schedule.warmup_steps=5"]
ONE = (1, 0, 1, 1)
LAYOUTS = {
    "ZeRO-0": (2, 0, 1, 2),
    "ZeRO-2": (2, 2, 1, 2),
    "ZeRO-3": (2, 3, 1, 2),
    "two replicas, ZeRO-1": (4, 1, 1, 2),
    "pipeline": (4, 1, 2, 2),
    "two ranks for each layer, ZeRO-3": (4, 3, 1, 2),
}
"""Ranks, ZeRO stage, pipeline stages, and ranks that share each row."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, corpus: list[Path], unigram: Path) -> Path:
    """A shard set with the ends of its documents."""
    folder = tmp_path_factory.mktemp("documents") / "set"
    return shard(corpus, folder, ShardingConfig(unigram))[0].folder


def train(
    folder: Path,
    layout: tuple[int, int, int, int],
    shards: Path,
    *words: str,
    steps: int = STEPS,
) -> Ended:
    ranks, stage, pipeline, shared = layout
    data = [f"data.train={shards}", f"data.validation={shards}", "data.validation_windows=20"]
    spread = [f"pipeline_stages={pipeline}", f"sequence_parallel={shared}", "log_interval=1"]
    made = [f"steps={steps}", "evaluation_interval=100"]
    config = deepspeed(stage, train_micro_batch_size_per_gpu=16 if layout == ONE else 8)
    given = [words[0], *SHAPE, *words[1:], *SCHEDULE, *data, *spread, *made]
    ended = launch(folder, given, config, ranks, timeout=300)
    assert ended.code == 0, ended.messages
    return ended


def tensors(ended: Ended) -> dict[str, Tensor]:
    """All tensors of the last checkpoint."""
    files = (ended.folder / f"checkpoints/step-{STEPS:08d}").glob("*.safetensors")
    return {name: one for file in files for name, one in load_file(file).items()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, documents: Path) -> Ended:
    return train(tmp_path_factory.mktemp("alone") / "run", ONE, documents, *APART)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shared_rows_have_the_losses_of_whole_ones(
    layout: str, alone: Ended, tmp_path: Path, documents: Path
) -> None:
    more = ["model.recompute=true"] if layout == "ZeRO-3" else []
    more += ["tensor_parallel=2"] if "layer" in layout else []
    ended = train(tmp_path / "run", LAYOUTS[layout], documents, *APART, *more)
    known = alone.metrics()
    assert len(known) == STEPS
    assert known[-1] < known[0] - 0.1
    assert ended.metrics()[0] == pytest.approx(known[0], rel=1e-6)
    assert ended.metrics() == pytest.approx(known, rel=1e-4)
    for key, allowed in {"gradient_norm": 1e-3, "validation_loss": 1e-4, "tokens": 0.0}.items():
        assert ended.metrics(key) == pytest.approx(alone.metrics(key), rel=allowed), key


@pytest.mark.parametrize(
    ("preset", "layout"), [("bert_tiny", LAYOUTS["ZeRO-2"]), ("t5_small", LAYOUTS["ZeRO-3"])]
)
def test_other_objectives_measure_the_same_on_shared_rows(
    preset: str, layout: tuple[int, int, int, int], tmp_path: Path, documents: Path
) -> None:
    more = ["model.encoder_layers=2"] if preset == "t5_small" else []
    alone = train(tmp_path / "alone", ONE, documents, preset, *more)
    shared = train(tmp_path / "shared", layout, documents, preset, *more)
    assert shared.metrics()[0] == pytest.approx(alone.metrics()[0], rel=1e-6)
    assert shared.metrics() == pytest.approx(alone.metrics(), rel=1e-4)
    keys = ["masked_loss", "pair_loss"] if preset == "bert_tiny" else ["restored_loss"]
    for key in (*keys, *(f"validation_{key}" for key in keys)):
        assert len(alone.metrics(key)) > 0
        assert shared.metrics(key) == pytest.approx(alone.metrics(key), rel=1e-4), key


def test_a_run_goes_on_with_shared_rows_and_without(
    alone: Ended, tmp_path: Path, documents: Path
) -> None:
    folder, starts = tmp_path / "run", [(LAYOUTS["ZeRO-3"], 7), (ONE, 14), (LAYOUTS["ZeRO-2"], 20)]
    for layout, steps in starts:
        ended = train(folder, layout, documents, *APART, steps=steps)
    assert "from step 14" in ended.messages
    assert ended.metrics() == pytest.approx(alone.metrics(), rel=1e-5)
    known = tensors(alone)
    assert any("#" in name for name in known)
    # Not number by number: where a gradient is nearly nothing, Adam makes steps of its last bits.
    for name, tensor in tensors(ended).items():
        assert (tensor - known[name]).norm() <= 1e-3 * known[name].norm(), name
