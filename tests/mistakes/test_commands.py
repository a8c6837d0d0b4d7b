"""Mistakes at every command but pretrain: each names what is wrong and what to type instead.

All of them are made in one process in which torch cannot be imported, in a folder with a run, a
shard set, and other things that a user may take for these.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT
from helpers.prompt_mistakes import PROMPT_MISTAKES, Mistake, write_prompts
from helpers.untrained import untrained_run

MAKE = "give the folder that pretrain made (run=)"
DOWNLOAD = "download its files yourself, then type: dslm hub import FOLDER runs/gpt2"
VERIFY = "dslm checkpoint verify"
EVALUATE = "evaluate runs/a --data shards/text"
GENERATE = "generate runs/a --prompt 1"
EXPORT = "hub export runs/a out"
QUANTIZE = "quantization runs/a --data shards/text --scheme w4 --group-size 16"


MISTAKES = [
    # what is given for a run
    Mistake("evaluate runs/a/run.json --data shards/text", "runs/a/run.json", "give runs/a"),
    Mistake("generate runs/a/tokenizer --prompt 1", "runs/a/tokenizer", "give runs/a"),
    Mistake(
        "evaluate runs/a/checkpoints/step-00000007 --data shards/text",
        "the checkpoint of step 7",
        "give runs/a --step 7",
    ),
    Mistake(
        "hub export runs/a/checkpoints/step-00000007 out",
        "the checkpoint of step 7",
        "give runs/a --step 7",
    ),
    Mistake("checkpoint show runs/a/checkpoints", "runs/a/checkpoints", "give runs/a"),
    Mistake("report runs/a/metrics.jsonl", "runs/a/metrics.jsonl", "give runs/a"),
    Mistake("status runs/a/checkpoints/step-00000007", "step-00000007", "give runs/a\n"),
    Mistake("generate exported --prompt 1", "exported", "dslm hub import exported runs/exported"),
    Mistake("report exported", "exported", "dslm hub import exported runs/exported"),
    Mistake("generate gpt2 --prompt 1", "gpt2", DOWNLOAD),
    Mistake("generate openai/gpt2 --prompt 1", "openai/gpt2", DOWNLOAD),
    Mistake("evaluate runs --data shards/text", "runs", "give one of runs/a, runs/bert"),
    Mistake("status runs", "runs", "give one of runs/a"),
    Mistake("checkpoint list runs", "runs", "give one of runs/a"),
    Mistake("evaluate runs/eraly --data shards/text", "runs/eraly", "did you mean 'runs/early'?"),
    Mistake("status nowhere/at/all", "nowhere/at/all: is not the folder of a run", MAKE),
    Mistake("generate ~/runs/a --prompt 1", "HOME/runs/a", MAKE),
    Mistake("evaluate runs/early --data shards/text", "no checkpoint yet", "checkpoint_interval"),
    Mistake("checkpoint verify runs/early", "no checkpoint yet", "checkpoint_interval"),
    Mistake("generate shards/text --prompt 1", "it is a shard set", MAKE),
    Mistake("checkpoint list tok", "it is a tokenizer", MAKE),
    Mistake("report text.txt", "it is a file", MAKE),
    Mistake("hub export text.txt out", "it is a file", MAKE),
    # what is given for text
    Mistake(
        "evaluate runs/a --data runs/a", "--data = 'runs/a'", "give shards, such as shards/text"
    ),
    Mistake(
        "evaluate runs/a --data text.txt", "--data = 'text.txt'", "preprocess/shard.py --input"
    ),
    Mistake("evaluate runs/a --data shards", "--data = 'shards'", "give one of shards/other"),
    Mistake("evaluate runs/a --data shards/txet", "shards/txet", "did you mean 'shards/text'?"),
    Mistake("evaluate runs/a --data nada/set", "nada/set", "preprocess/shard.py"),
    Mistake(
        "evaluate runs/a --data shards/other", "another tokenizer", "--tokenizer runs/a/tokenizer"
    ),
    Mistake(
        "quantization runs/a --data runs/a --scheme w4 --group-size 16", "--data", "shards/text"
    ),
    # checkpoints
    Mistake(f"{EVALUATE} --step 8", "no checkpoint of step 8", "choose from 7"),
    Mistake("generate runs/a --prompt 1 --step 300", "no checkpoint of step 300", "choose from 7"),
    Mistake("hub export runs/a out --step 300", "no checkpoint of step 300", "choose from 7"),
    Mistake("checkpoint show runs/a --step 300", "no checkpoint of step 300", "choose from 7"),
    Mistake("generate runs/a --prompt 1 --step new", "--step = 'new'", "a whole number, or best"),
    Mistake(f"{EVALUATE} --step best", "nothing was measured at any", "leave it out"),
    Mistake("generate runs/cut --prompt 1", "layer-0002.safetensors", "use --step 7"),
    Mistake("evaluate runs/cut --data shards/text", "bytes instead of", f"{VERIFY} runs/cut"),
    Mistake("hub export runs/gone out", "layer-0002.safetensors: is missing", VERIFY),
    Mistake("checkpoint prune runs/a --keep 0", "--keep = 0", "must be 1 or more"),
    Mistake("checkpoint prune runs/a", "--keep: is missing", "see dslm checkpoint prune --help"),
    Mistake("checkpoint verfy runs/a", "no such verb", "did you mean 'verify'?"),
    Mistake("checkpoint diff runs/a", "a single checkpoint", "name a second run"),
    # values
    Mistake(f"{GENERATE} --max-new-tokens -3", "--max-new-tokens = -3", "use 100"),
    Mistake(f"{GENERATE} --max-new-tokens 1e3", "--max-new-tokens = '1e3'", "a whole number"),
    Mistake(f"{GENERATE} --temperature -1", "--temperature = -1.0", "use 0.8"),
    Mistake(f"{GENERATE} --temperature nan", "--temperature = nan", "use 0.8"),
    Mistake(f"{GENERATE} --temperature hot", "--temperature = 'hot'", "must be a number"),
    Mistake(f"{GENERATE} --top-k 0", "--top-k = 0", "use 50"),
    Mistake(f"{GENERATE} --top-p 0", "--top-p = 0.0", "use 0.9"),
    Mistake(f"{GENERATE} --top-p 90", "--top-p = 90.0", "use 0.9"),
    Mistake(f"{GENERATE} --seed -1", "--seed = -1", "at least 0"),
    Mistake(f"{GENERATE} --top_k 50", "--top_k: unknown argument", "did you mean '--top-k'?"),
    Mistake(f"{GENERATE} --scheme w5", "--scheme = 'w5'", "choose from none, w8a8"),
    Mistake(f"{GENERATE} --group-size 16", "--group-size = 16", "give --scheme"),
    Mistake(f"{EVALUATE} --scheme w4 --group-size 0", "--group-size = 0", "at least 1"),
    Mistake(f"{EVALUATE} --scheme w4 --group-size 24", "--group-size = 24", "use 16"),
    Mistake(f"{EVALUATE} --scheme w44 --group-size 7", "--scheme = 'w44'", "mean 'w4'?", 1),
    Mistake(f"{EVALUATE} --scheme w44 --calibrate shards/text", "--scheme", "mean 'w4'?", 1),
    Mistake(f"{EVALUATE} --scheme w4 --group-size 7 --calibrate nada", "--group-size = 7", "16", 3),
    Mistake(f"{EVALUATE} --scheme w4 --group-size 0 --calibrate nada", "--group-size", "least", 2),
    Mistake(
        f"{EVALUATE} --scheme w4 --group-size 16 --calibrate nada",
        "--calibrate = 'nada'",
        "shard.py",
        1,
    ),
    Mistake("evaluate runs/a --data shards/text/manifest.json", "--data", "give shards/text"),
    Mistake("evaluate runs/a --data tok", "--data = 'tok'", "--tokenizer RUN/tokenizer"),
    Mistake(f"{EVALUATE} --calibrate shards/text", "--calibrate", "give --scheme"),
    Mistake(
        f"{EVALUATE} --scheme w4 --group-size 16 --calibrate runs/a",
        "--calibrate = 'runs/a'",
        "give shards, such as shards/text",
    ),
    Mistake(f"{EVALUATE} --calibration-rows 3", "--calibration-rows = 3", "give --calibrate"),
    Mistake(f"{QUANTIZE} --rows 0", "--rows = 0", "use 64"),
    Mistake("quantization runs/a --data shards/text", "rounded to what?", "give one, such as w4"),
    Mistake(f"{QUANTIZE} --float runs/cut", "--float = 'runs/cut'", "leave it out"),
    # prompts
    Mistake('generate runs/a "1 plus"', "1 plus", "write --prompt '1 plus'"),
    Mistake("generate runs/a --prompt 1 plus 1 is", "plus 1 is", "write --prompt '1 plus 1 is'"),
    Mistake("generate runs/a", "--prompt", 'such as "The"'),
    Mistake("generate runs/a --prompt Ω", "--prompt", "leave it out"),
    Mistake('generate runs/a --prompt "1 <mask> 1"', "fills no masks", "objective.kind=masked"),
    Mistake("generate runs/a --prompt " + "1" * 40, "40 tokens", "shorten it"),
    *PROMPT_MISTAKES,
    Mistake('generate runs/bert --prompt "1 plus 1"', "must hold <mask>", 'write "The'),
    # other people's files
    Mistake("hub import gpt2 runs/new", "gpt2: does not exist", DOWNLOAD),
    Mistake("hub import runs/a runs/new", "a run of dslm already", "launch/generate.py runs/a"),
    Mistake("hub import shards runs/new", "has no config.json", "give the folder with config.json"),
    Mistake("hub import text.txt runs/new", "is a file", "give the folder with config.json"),
    Mistake("hub import nada/model/x runs/new", "does not exist", "give the folder of the model"),
    Mistake("hub import rwkv runs/new", "model_type = 'rwkv'", "it has gpt2, llama"),
    Mistake("hub import exported runs/new", "exported: holds no weights", "model.safetensors"),
    Mistake("hub import exported runs/b", "is not a tokenizer", "preprocess/train_tokenizer.py"),
    Mistake("hub import exported runs/a", "runs/a: is there already", "choose another RUN"),
    Mistake("hub import exported", "RUN: is missing", "see dslm hub import --help"),
    Mistake("hub exprot runs/a out", "no such verb", "did you mean 'export'?"),
    Mistake("hub export runs/a exported", "exported: is there already", "choose another FOLDER"),
    Mistake(f"{EXPORT} --format compressed-tensors", "no rounded weights", "choose a --scheme"),
    Mistake(f"{EXPORT} --format gguff", "--format = 'gguff'", "did you mean 'gguf'?"),
    Mistake("hub export runs/lstm out", "recurrent layers", "model.block = 'lstm'"),
    # a look inside
    Mistake("inspect runs/a", "--text: is missing", "see dslm inspect --help"),
    Mistake("inspect runs/a --text 1 plus 1", "plus 1", "write --text '1 plus 1'"),
    Mistake("inspect runs/lstm --text 1", "has no attention", "model.block=attention"),
    Mistake("inspect runs/a --text Ω --target Ω", "Ω", "choose another --target", 2),
    Mistake("inspect memory runs/bert --data shards/text", "does not continue", "=causal", 1),
    Mistake("inspect memory runs/a --data nada --sequences 0", "nada", "preprocess/shard.py", 2),
    Mistake("inspect bias runs/a --pairs nada.csv --step 8", "nada.csv", "give a file", 2),
    # the rest
    Mistake("evaluate runs/a", "--data: is missing", "see evaluate.py --help"),
    Mistake("evaluatte runs/a", "dslm = 'evaluatte'", "did you mean 'evaluate'?"),
    Mistake("status runs/a --expect finished", "--expect = 'finished'", "choose from running"),
    Mistake("hosts nada", "nada", "HOST slots=N"),
    Mistake("migrate nada.json", "nada.json", "no such file"),
    Mistake("check tiny", "--gpus", "add --gpus 8xH100-80G or --cpu 2"),
    Mistake("check tiny --gpus 8xH1000", "H1000", "did you mean"),
    Mistake("check tiny --cpu 0", "--cpu = 0", "leave it out"),
    Mistake("check tiny --cpu 1 run=null", "run: must be text, not null", "write run=…"),
    Mistake("check tiny --cpu 1 data.train=null", "data.train", "not null"),
    Mistake("check tiny --cpu 1 --steps 5", "--steps", "write steps=5"),
    Mistake("check tiny --cpu 1 --lr 3e-4 --json", "--lr", "write lr=3e-4"),
    Mistake("check tiny --num_gpus 8", "--num_gpus", "did you mean '--gpus'?"),
    Mistake("check tiny --cpu 1 --host_memory 3", "--host_memory", "'--host-memory'"),
    Mistake("check tiny --cpu -1", "--cpu = -1", "leave it out"),
    Mistake("check tiny --cpu 1 --xyzzy 3", "--xyzzy", "see dslm check --help"),
    Mistake("submit tiny --dry-run --steps 5 run=r", "--steps", "write steps=5"),
    Mistake("submit tiny --steps 5 --nodes many run=r", "--steps", "write steps=5"),
    Mistake("submit tiny --nodes 0 run=r", "nodes", "at least 1"),
    Mistake("chaos --only 1z", "--only = '1z'", "use 1a"),
]

RUNNER = """\
import contextlib, io, json, shlex, sys
sys.modules["torch"] = None
from dslm.commands.cli import run
from dslm.commands.main import dispatch

def answer(typed):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(dispatch, shlex.split(typed))
        except BaseException as error:
            code = repr(error)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}

print(json.dumps([answer(typed) for typed in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    shard_set: Path,
    deepspeed_file: Path,
    make_shards: Any,
) -> Path:
    """A working folder."""
    folder = tmp_path_factory.mktemp("place")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for name in ("runs", "shards", "exported", "rwkv"):
            Path(name).mkdir()
        shutil.copytree(shard_set, "shards/text")
        shutil.copytree(make_shards("another alphabet " * 40), "shards/other")
        shutil.copytree("shards/text/tokenizer", "tok")
        text, json_file = Path("shards/text"), deepspeed_file
        untrained_run(Path("runs/a"), text, json_file)
        untrained_run(Path("runs/gone"), text, json_file)
        untrained_run(Path("runs/bert"), text, json_file, "objective.kind=masked")
        for run in Path("runs").iterdir():
            (run / "tokenizer").unlink()
            shutil.copytree("tok", run / "tokenizer")
        shutil.copytree("runs/a", "runs/cut")
        shutil.copytree("runs/a", "runs/early")
        shutil.copytree("runs/a", "runs/lstm")
        record = json.loads(Path("runs/lstm/run.json").read_text())
        record["config"]["model"]["block"] = "lstm"
        Path("runs/lstm/run.json").write_text(json.dumps(record))
        shutil.rmtree("runs/early/checkpoints/step-00000007")
        steps = Path("runs/cut/checkpoints")
        shutil.copytree(steps / "step-00000007", steps / "step-00000009")
        weights = steps / "step-00000009/layer-0002.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        Path("runs/gone/checkpoints/step-00000007/layer-0002.safetensors").unlink()
        Path("runs/a/metrics.jsonl").write_text("")
        Path("text.txt").write_text("1 plus 1 is 2.\n")
        write_prompts(Path("p"))
        Path("exported/config.json").write_text('{"model_type": "gpt2"}')
        Path("rwkv/config.json").write_text('{"model_type": "rwkv"}')
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="module")
def answers(place: Path) -> dict[str, dict[str, Any]]:
    """What each of the commands answers."""
    typed = [mistake.typed for mistake in MISTAKES]
    home = {"HOME": str(place / "HOME"), "PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(typed),
        capture_output=True,
        text=True,
        timeout=240,
        cwd=place,
        env=home,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(typed, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.typed)
def test_a_mistake_is_named_with_its_fix_before_torch_is_loaded(
    mistake: Mistake, answers: dict[str, dict[str, Any]]
) -> None:
    answer = answers[mistake.typed]
    assert (answer["code"], answer["out"]) == (2, ""), answer
    lines = answer["err"].splitlines(keepends=True)
    assert all(line.startswith("error: ") for line in lines)
    assert any(mistake.key in line and mistake.fix in line for line in lines), answer["err"]
    assert mistake.lines in (None, len(lines)), answer["err"]
    assert "torch: is not installed" not in answer["err"]


def test_there_are_many() -> None:
    assert len({mistake.typed for mistake in MISTAKES}) == len(MISTAKES) >= 60
