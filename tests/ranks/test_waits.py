"""Between two lines of the log the host asks the device for nothing, so that it runs ahead of it.

On a CPU there is nobody to wait for, but what would wait for a GPU is counted all the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch
from helpers.paths import ROOT
from helpers.waits import count_waits

pytestmark = pytest.mark.ranks

BF16 = {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
LAYOUTS: dict[str, tuple[int, int, int, dict[str, Any], list[str]]] = {
    "ZeRO-0": (2, 0, 1, {}, []),
    "ZeRO-0, not clipped, dropout": (1, 0, 1, {"gradient_clipping": 0.0}, ["model.dropout=0.1"]),
    "ZeRO-1, bf16": (1, 1, 1, BF16, []),
    "ZeRO-2": (1, 2, 1, {}, ["label_smoothing=0.1"]),
    "ZeRO-3": (2, 3, 1, {}, ["model.recompute=true"]),
    "pipeline": (2, 1, 2, {}, []),
}
"""Ranks, ZeRO stage, pipeline stages, more of DeepSpeed's JSON, more settings."""
LOG = 4
FIRST = 4
"""Steps after which nothing is measured any more to be compared with what was predicted."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_of_ours_asks_between_two_lines_of_the_log(
    layout: str, words: list[str], tmp_path: Path
) -> None:
    ranks, stage, stages, config, more = LAYOUTS[layout]
    words = [*words, *more, "steps=12", f"log_interval={LOG}", f"pipeline_stages={stages}"]
    prepare = partial(count_waits, tmp_path / "asked")
    ended = launch(tmp_path / "run", words, deepspeed(stage, **config), ranks, prepare=prepare)
    assert ended.code == 0, ended.messages
    asked = [
        (step, who, count)
        for rank in range(ranks)
        for step, who, count in json.loads((tmp_path / f"asked.{rank}").read_text())
    ]
    assert any(step % LOG == 0 and who.startswith("dslm.") for step, who, _ in asked)
    between = [one for one in asked if one[0] > FIRST and one[0] % LOG]
    print(*sorted({who for _, who, _ in between}), sep="\n")
    assert not [one for one in between if not one[1].startswith("deepspeed.")]
    if stage == 0:  # where DeepSpeed leaves the step to torch
        assert not between


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_torch_notices_no_wait_on_a_gpu(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "deepspeed.json"
    file.write_text(json.dumps(deepspeed(0)))
    more = ["steps=12", f"log_interval={LOG}", f"run={tmp_path / 'run'}"]
    arguments = ["pretrain", *words, *more, "--deepspeed_config", str(file)]
    code = (
        "import sys; from helpers.waits import forbid_waits; forbid_waits(4); "
        "from dslm.commands.cli import run; from dslm.commands.main import dispatch; "
        "sys.exit(run(dispatch, sys.argv[1:]))"
    )
    variables = {**os.environ, "DS_ACCELERATOR": "cuda", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
