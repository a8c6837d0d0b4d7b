"""Start-up, restore and save at size: each rank draws, reads, hashes and writes its share."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

from dslm.model.counts import parameter_count
from dslm.run.config import RunConfig
from dslm.run.folder import RunFolder

pytestmark = pytest.mark.ranks

SHAPE = ["model.layers=2", "model.heads=4", "model.width=256", "model.sequence=16"]
STATE = 3 * 4
"""Bytes that a checkpoint holds of a weight: itself and two moments."""
STILL = {"type": "AdamW", "params": {"lr": 1e-50, "weight_decay": 0.0, "torch_adam": True}}
"""With a rate below all that float32 can hold the weights stay as they are."""
START = "ZeRO-3 on four ranks"
LAYOUTS = {
    START: (4, 3, 1),
    "ZeRO-3 on two ranks": (2, 3, 1),
    "pipeline of two, two of them": (4, 1, 2),
    "one rank": (1, 0, 1),
    "ZeRO-1 on two ranks": (2, 1, 1),
    "ZeRO-0 on two ranks": (2, 0, 1),
}
"""Ranks, ZeRO stage, pipeline stages of one run that goes on at each layout for a step."""
RESUMED = [layout for layout in LAYOUTS if layout != START]


def count(folder: Path, ranks: int, rank: int) -> None:
    """Let a rank count, and its first file wait until another rank writes one as well."""
    from dslm.files import fingerprint
    from dslm.model import initial
    from dslm.parallel.state import TrainingState
    from dslm.run import checkpoint_writer, tensor_file
    from dslm.train.loop import Loop

    counts = {"drawn": 0, "read": 0, "rchar": 0, "hashed": 0, "written": 0, "at_once": 0}
    marks = folder / "writing"

    def counted(owner: Any, name: str, key: str, size: Callable[[Any, Any], int]) -> None:
        plain = getattr(owner, name)

        def call(*arguments: Any) -> Any:
            result = plain(*arguments)
            counts[key] += size(arguments, result)
            return result

        setattr(owner, name, call)

    def writing(path: Path, tensors: Any) -> tuple[int, str]:
        if ranks > 1 and not counts["written"]:
            (marks / str(rank)).touch()
            end = time.monotonic() + 60
            while len(list(marks.iterdir())) < 2 and time.monotonic() < end:
                time.sleep(0.01)
            counts["at_once"] = len(list(marks.iterdir()))
        size, sha256 = write(path, tensors)
        counts["written"] += size
        return size, sha256

    def filling(*arguments: Any, **more: Any) -> None:
        before = read_by_process()
        fill(*arguments, **more)
        counts["rchar"] += read_by_process() - before

    def loop(self: Loop) -> str:
        result = run(self)
        (folder / f"{rank}.counts").write_text(json.dumps(counts))
        return result

    for kind in (initial.Normal, initial.Uniform, initial.Orthogonal):
        counted(kind, "make", "drawn", lambda arguments, made: made.numel())
    counted(tensor_file.TensorFile, "read", "read", lambda arguments, found: found.nbytes)
    counted(fingerprint.Expected, "whole", "hashed", lambda arguments, _: arguments[0].bytes)
    write, checkpoint_writer.write_tensors = checkpoint_writer.write_tensors, writing
    fill, TrainingState.fill = TrainingState.fill, filling  # type: ignore[method-assign]
    run, Loop.run = Loop.run, loop  # type: ignore[method-assign]


def read_by_process() -> int:
    """The bytes that the system has read for this process."""
    return int(Path("/proc/self/io").read_text().split()[1])


@dataclass(frozen=True)
class Counted:
    """A run that went on at one layout after the other."""

    folder: Path
    ranks: dict[str, list[dict[str, int]]]
    """What each rank of a layout has counted."""

    @property
    def weights(self) -> int:
        """How many numbers the model has."""
        config: RunConfig = RunFolder(self.folder).read_config()
        return parameter_count(config.model)

    def tensors(self, layout: str) -> dict[str, dict[str, Any]]:
        """The files of tensors in the manifest of the checkpoint written at a layout."""
        return {name: one for name, one in self.files(layout).items() if name.startswith("layer-")}

    def files(self, layout: str) -> dict[str, dict[str, Any]]:
        """The manifest of the checkpoint that was written at a layout."""
        step = 1 + list(LAYOUTS).index(layout)
        manifest = self.folder / f"checkpoints/step-{step:08d}/manifest.json"
        files: dict[str, dict[str, Any]] = json.loads(manifest.read_text())["files"]
        return {name: known for name, known in files.items() if name != "state.json"}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, shards: Path) -> Counted:
    folder, ranks_of = tmp_path_factory.mktemp("shares"), {}
    words = ["tiny", *SHAPE, f"data.train={shards}", "evaluation_interval=1000", "keep=9"]
    for step, (layout, (ranks, stage, pipeline)) in enumerate(LAYOUTS.items(), start=1):
        shutil.rmtree(folder / "writing", ignore_errors=True)
        (folder / "writing").mkdir()
        arguments = [*words, f"steps={step}", f"pipeline_stages={pipeline}"]
        config, counting = deepspeed(stage, optimizer=STILL), partial(count, folder, ranks)
        ended = launch(folder / "run", arguments, config, ranks, prepare=counting)
        assert ended.code == 0, ended.messages
        files = [folder / f"{rank}.counts" for rank in range(ranks)]
        ranks_of[layout] = [json.loads(file.read_text()) for file in files]
    return Counted(folder / "run", ranks_of)


def test_a_rank_of_zero_3_draws_its_share_and_no_rank_what_a_checkpoint_holds(
    counted: Counted,
) -> None:
    drawn = [rank["drawn"] for rank in counted.ranks[START]]
    assert max(drawn) <= 1.1 * counted.weights / 4
    assert sum(drawn) >= 0.9 * counted.weights
    assert [rank["drawn"] for name in RESUMED for rank in counted.ranks[name]] == [0] * 11


@pytest.mark.parametrize("layout", RESUMED)
def test_a_rank_reads_its_share_of_a_checkpoint(layout: str, counted: Counted) -> None:
    ranks, stage, _ = LAYOUTS[layout]
    share = STATE * counted.weights / ranks
    for rank in counted.ranks[layout]:
        assert 0.8 * share <= rank["read"] <= 1.1 * share
        if stage == 3:  # where nothing is read from other ranks meanwhile
            assert rank["read"] <= rank["rchar"] <= 1.1 * share


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ranks_write_at_once_and_about_equally_much(layout: str, counted: Counted) -> None:
    ranks, files = counted.ranks[layout], counted.tensors(layout)
    written = [rank["written"] for rank in ranks]
    sizes = [known["bytes"] for known in files.values()]
    assert sum(written) == sum(sizes)
    assert max(written) - min(written) <= max(sizes)
    assert len(ranks) == 1 or min(rank["at_once"] for rank in ranks) > 1


@pytest.mark.parametrize("layout", RESUMED)
def test_ranks_hash_about_equally_much(layout: str, counted: Counted, shards: Path) -> None:
    before = list(LAYOUTS)[list(LAYOUTS).index(layout) - 1]
    sizes = [known["bytes"] for known in counted.files(before).values()]
    sizes += [shard.stat().st_size for shard in shards.glob("*.arrow")]
    hashed = [rank["hashed"] for rank in counted.ranks[layout]]
    assert sum(sizes) <= sum(hashed) <= sum(sizes) + 1000  # a few numbers in state.json
    assert max(hashed) <= sum(sizes) / len(hashed) + max(sizes)


def test_no_layout_changes_a_bit_of_the_weights(counted: Counted) -> None:
    hashes = [
        {
            name: known["sha256"]
            for name, known in counted.tensors(layout).items()
            if "optimizer" not in name
        }
        for layout in LAYOUTS
    ]
    assert hashes[0]
    assert hashes == hashes[:1] * len(hashes)


def damage(file: Path) -> None:
    """Change a byte, not the size."""
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


def test_what_each_of_two_ranks_finds_is_reported_at_once(
    tmp_path: Path, words: list[str], shards: Path
) -> None:
    sets = [shutil.copytree(shards, tmp_path / name) for name in ("one", "two")]
    files = [file for copy in sets for file in sorted(copy.glob("*.arrow"))]
    for file in files:
        damage(file)
    named = json.dumps([str(copy) for copy in sets])
    words = [f"data.train={named}" if w.startswith("data.train=") else w for w in words]
    ended = launch(tmp_path / "run", [*words, "steps=2"], deepspeed(1), 2)
    assert ended.code == 2
    changed = [line for line in ended.messages.splitlines() if "bytes have changed" in line]
    assert len(files) > 1
    assert [line.split(": ")[1] for line in changed] == [str(file) for file in files]
    assert not (tmp_path / "run/run.json").exists()


def test_two_ranks_fall_back_to_the_newest_checkpoint_that_is_whole(
    counted: Counted, tmp_path: Path, shards: Path
) -> None:
    run = shutil.copytree(counted.folder, tmp_path / "run")
    newest, *older = sorted((run / "checkpoints").iterdir(), reverse=True)
    damaged = sorted(newest.glob("layer-000[24]*"))
    for file in damaged:
        damage(file)
    (older[0] / "state.json").unlink()
    words = ["tiny", *SHAPE, f"data.train={shards}", "evaluation_interval=1000", "keep=9"]
    ended = launch(run, [*words, "steps=7"], deepspeed(1, optimizer=STILL), 2)
    assert ended.code == 0, ended.messages
    assert f"from step {len(LAYOUTS) - 2}\n" in ended.messages
    for file in damaged:
        assert f"{file}: is damaged" in ended.messages
    assert f"{older[0] / 'state.json'}: is missing" in ended.messages
