"""Memory of a rank: predicted, and measured in real runs of two CPU ranks.

Each run is the command ``launch/pretrain.py`` on two ranks for a few steps, and prints both figures
itself (`dslm.train.predicted`): the growth of the resident memory from the moment before the model
exists, libraries loaded and process group joined, to its highest mark. glibc is made to give freed
memory back at once (``MALLOC_MMAP_THRESHOLD_``, ``MALLOC_TRIM_THRESHOLD_``), in these runs only: by
itself it keeps some, depending on what was freed when.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Options, Row, Table
from texts import small_shards

from dslm.environment import free_port
from dslm.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
LLAMA = (
    "model.key_value_heads=2 model.activation=swiglu model.norm=rms model.bias=false "
    "model.positions=rotary model.tied=false model.recompute=true"
)
SHAPES = {
    "many weights": ("4 8 512 64 2000", "", 1, 2),
    "many activations": ("6 4 256 256 1000", "", 8, 1),
    "a large vocabulary": ("2 4 256 128 32000", "", 4, 2),
    "Llama's, recomputed": ("6 8 384 256 4000", LLAMA, 4, 1),
}
"""Layers, heads, width, sequence and vocabulary; other words; micro-batch and accumulation."""
LAYOUTS = {
    "ZeRO-0": (0, 1),
    "ZeRO-1": (1, 1),
    "ZeRO-2": (2, 1),
    "ZeRO-3": (3, 1),
    "2 stages": (1, 2),
}
"""ZeRO and pipeline stages."""
IN_BF16 = ("ZeRO-1", "ZeRO-2", "ZeRO-3", "2 stages")
BF16 = {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
SAID = re.compile(r"measured ([\d.]+) GiB a rank at most, ([\d.]+) predicted")
PATIENCE = 300.0
"""Seconds after which a run is given up."""


def measure(options: Options) -> Table:
    """Train each shape in each layout for a few steps."""
    rows = []
    cases = list(_cases())
    with tempfile.TemporaryDirectory() as name, Progress(len(cases), " runs", "memory") as progress:
        folder = Path(name)
        shards = small_shards(folder)
        for number, (claim, words, deepspeed) in enumerate(cases):
            measured, predicted = _run(
                folder / str(number), [*words, f"data.train={shards}"], deepspeed
            )
            figures = f"{1024 * predicted:.0f} MiB", f"{1024 * measured:.0f} MiB"
            rows.append(Row(claim, "0.85–1.15", *figures, f"{predicted / measured:.2f}"))
            progress.advance()
    setting = (
        "two CPU ranks, AdamW; ours is what was predicted, the peer's what was measured: by how "
        "much the resident memory of the fullest rank has grown at most in three steps, since "
        "before there was a model"
    )
    return Table("Memory of a rank", setting, rows)


def _cases() -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    for half in (False, True):
        for shape, (numbers, more, micro, accumulation) in SHAPES.items():
            for layout, (stage, stages) in LAYOUTS.items():
                if half and layout not in IN_BF16:
                    continue
                keys = ("layers", "heads", "width", "sequence", "vocabulary")
                sizes = zip(keys, numbers.split(), strict=True)
                words = [*(f"model.{key}={size}" for key, size in sizes), *more.split()]
                deepspeed = {
                    "train_micro_batch_size_per_gpu": micro,
                    "gradient_accumulation_steps": max(accumulation, 4 if stages > 1 else 1),
                    "steps_per_print": 10**9,
                    "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}},
                    "zero_optimization": {"stage": stage},
                    **(BF16 if half else {}),
                }
                claim = f"{shape}, {layout}, {'bf16' if half else 'float32'}"
                yield claim, [*words, f"pipeline_stages={stages}"], deepspeed


def _run(folder: Path, words: list[str], deepspeed: dict[str, Any]) -> tuple[float, float]:
    """Measured and predicted GiB of a run."""
    config = folder.with_suffix(".json")
    config.write_text(json.dumps(deepspeed))
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}"]
    settings = ["tiny", *words, "steps=3", f"run={folder}", f"--deepspeed_config={config}"]
    ended = subprocess.run(
        [sys.executable, *launcher, str(ROOT / "launch" / "pretrain.py"), *settings],
        env={**os.environ, **ALLOCATOR, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    said = SAID.search(ended.stderr)
    assert said, ended.stderr[-3000:]
    return float(said[1]), float(said[2])
