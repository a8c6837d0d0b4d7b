"""Every row of `pretrain_table` typed, all of them in one process in which there is no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT
from mistakes.pretrain_table import JSON, RIGHT, SHORT, WORDS

RUNNER = """
import contextlib, io, json, os, shlex, sys, traceback
from dslm.commands import pretrain
from dslm.commands.cli import run

class Started(Exception):
    pass

def begin(job):
    raise Started(json.dumps(job.deepspeed))

pretrain.take_folder = begin
results = []
for line in json.load(sys.stdin):
    out, err, started = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(pretrain.main, shlex.split(line))
        except Started as error:
            code, started = 0, json.loads(str(error))
        except Exception:
            code = traceback.format_exc()
    results.append({"code": code, "out": out.getvalue(), "err": err.getvalue(), "json": started})
heavy = [name for name in ("torch", "deepspeed") if name in sys.modules]
print(json.dumps({"results": results, "heavy": heavy, "files": sorted(os.listdir("."))}))
"""

BASE = json.loads((ROOT / "ds_configs" / "zero1_fp32.json").read_text())
AUTO: dict[str, Any] = {"lr": 1e-3, "betas": "auto", "eps": "auto", "weight_decay": "auto"}
FILES: dict[str, Any] = {
    "settings.json": {"preset": "tiny", "steps": 100, "run": "runs/c"},
    "mixed.json": {"steps": 100, "log_interval": 5, "n_embd": 64},
    "broken.json": '{"steps": 5,}',
    "text.txt": "some text",
    "arguments.json": {
        "per_device_train_batch_size": 8,
        "learning_rate": 5e-5,
        "num_train_epochs": 3,
        "output_dir": "out",
        "save_steps": 100,
    },
    "accelerate.yaml": "mixed_precision: fp16",
    "accelerate.json": {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "DEEPSPEED",
        "mixed_precision": "fp16",
        "num_processes": 2,
    },
    "megatron.json": {
        "num-layers": 12,
        "hidden-size": 768,
        "micro-batch-size": 4,
        "global-batch-size": 32,
        "train-iters": 1000,
    },
    "hub/config.json": {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4},
    "runs/a/run.json": {},
    "runs/lost/checkpoints/step-00000100/state.json": {},
    "runs/a/checkpoints/step-00000200/state.json": {},
    "automatic.json": {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": 8,
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "optimizer": {"type": "AdamW", "params": {**AUTO, "torch_adam": True}},
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto"},
        "zero_optimization": {"stage": 1},
    },
    "all_automatic.json": {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "optimizer": {"type": "AdamW", "params": {**AUTO, "lr": "auto", "torch_adam": True}},
    },
    "total.json": {"train_batch_size": 8, "optimizer": BASE["optimizer"]},
    "recorded.json": {"config": {}, "deepspeed": {**BASE, "gradient_clipping": 0.25}},
}
"""What stands in the folder beside `SETS` and ``ds_configs``."""
SETS = (
    *("shards/train", "shards/validation", "extra/a", "extra/b"),
    *("mixed/a", "mixed/values", "mixed/test-2"),
)
"""Shard sets, of which those that are held out have names that say so."""


def line(typed: str) -> str:
    """A row's command with its short words written out."""
    return " ".join(SHORT.get(word, word) for word in typed.split(" "))


def patched(changes: dict[str, Any], base: Any = BASE) -> Any:
    """The JSON of a row."""
    made = dict(base)
    for key, value in changes.items():
        inner = isinstance(value, dict) and isinstance(base.get(key), dict)
        made[key] = patched(value, base[key]) if inner else value
        if value is None:
            del made[key]
    return made


LINES = [
    *(line(typed) for typed, _, _ in WORDS),
    *(line(f"J --deepspeed_config json-{number}.json") for number in range(len(JSON))),
    *(line(typed) for typed, _ in RIGHT),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, shard_set: Path) -> dict[str, Any]:
    """What all rows meet, and which heavy packages were loaded for that."""
    folder = tmp_path_factory.mktemp("mistakes")
    for name in SETS:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(shard_set)
    (folder / "ds_configs").symlink_to(ROOT / "ds_configs")
    rows = {f"json-{number}.json": patched(row[0]) for number, row in enumerate(JSON)}
    for name, content in {**FILES, **rows}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    mines = tmp_path_factory.mktemp("mines")
    for name in ("torch", "deepspeed"):
        (mines / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(LINES),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=240,
        env={
            "PYTHONPATH": f"{mines}:{ROOT}",
            "PATH": os.defpath,
            "HOME": str(mines),
            "DS_ACCELERATOR": "cpu",
        },
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {**found, "results": dict(zip(LINES, found["results"], strict=True))}


def refused(said: dict[str, Any], key: str, fix: str) -> None:
    """Assert that an answer is a mistake, reported with its key and its fix in one line."""
    assert (said["code"], said["out"]) == (2, "")
    lines = said["err"].splitlines(keepends=True)
    assert lines
    assert all(one.startswith("error: ") for one in lines)
    assert "Traceback" not in said["err"]
    assert len(set(lines)) == len(lines)
    assert [one for one in lines if key in one and fix in one.partition(": ")[2]], said["err"]


@pytest.mark.parametrize(("typed", "key", "fix"), WORDS, ids=[row[0] for row in WORDS])
def test_a_mistake_on_the_command_line_ends_in_its_fix(
    typed: str, key: str, fix: str, answers: dict[str, Any]
) -> None:
    refused(answers["results"][line(typed)], key, fix)


@pytest.mark.parametrize(
    "typed",
    [
        "P betas=0.9,0.99",
        "P --betas 0.9,0.99",
        "P --steps 1,000",
        "P --lr 0,001",
        "P data=extra/a",
        "P model=gpt2 model.layers=3",
        "P ds_configs/zero0_fp32.json",
        "P optimizer.lr=3e-4",
        "P ds.nebula.enabled=true",
        "P ds.optimizer.type=OneBitAdam",
        "R run=null",
        "tiny run=runs/m --deepspeed_config data.train=shards/train",
        "P optimizer='{\"lr\":1}'",
    ],
)
def test_one_mistake_is_one_line(typed: str, answers: dict[str, Any]) -> None:
    assert len(answers["results"][line(typed)]["err"].splitlines()) == 1


@pytest.mark.parametrize("number", range(len(JSON)))
def test_a_mistake_in_the_json_ends_in_its_fix(number: int, answers: dict[str, Any]) -> None:
    said = answers["results"][line(f"J --deepspeed_config json-{number}.json")]
    refused(said, JSON[number][1], JSON[number][2])


@pytest.mark.parametrize(("typed", "values"), RIGHT, ids=[row[0] for row in RIGHT])
def test_what_has_one_meaning_works(
    typed: str, values: dict[str, Any], answers: dict[str, Any]
) -> None:
    said = answers["results"][line(typed)]
    assert said["json"] is not None, said
    for path, value in values.items():
        found = said["json"]
        for name in path.split("."):
            found = found.get(name) if found else None
        assert found == value


def test_the_table_is_large_and_loads_nothing_heavy(answers: dict[str, Any]) -> None:
    assert len(WORDS) + len(JSON) >= 200
    assert answers["heavy"] == []
    assert not [name for name in answers["files"] if name.startswith(("~", "$"))]
