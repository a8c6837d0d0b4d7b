"""A rank fails under the real ``deepspeed``: exit code, last lines of the screen, nobody left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.paths import ROOT

from dslm.environment import free_port

pytestmark = [pytest.mark.ranks, pytest.mark.slow]

BIN = Path(sys.executable).parent

SCRIPT = """\
import os, signal
from helpers.trouble import trouble
from dslm.commands.cli import script
from dslm.commands.pretrain import main

def happen():
    if {what!r} == "raise":
        raise ValueError("injected")
    os.kill(os.getpid(), getattr(signal, {what!r}))

if __name__ == "__main__":
    trouble(happen, "training", 18, 1, int(os.environ["RANK"]))
    script(main)
"""


def start(folder: Path, words: list[str], what: str) -> tuple[int, list[str], list[Path]]:
    """Exit code, lines of the screen without the launcher's own, and ranks that are left."""
    script, config = folder / "faulty.py", folder / "deepspeed.json"
    script.write_text(SCRIPT.format(what=what))
    config.write_text(json.dumps(deepspeed(1)))
    command = [str(BIN / "deepspeed"), "--num_gpus", "2", "--master_port", str(free_port())]
    command += [str(script), *words, "steps=1000", f"run={folder}/run"]
    environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'tests'}"
    with subprocess.Popen(
        [*command, "--deepspeed_config", str(config)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=240)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    lines = [line for line in output.splitlines() if "[launch.py:" not in line]
    left = [file for file in Path("/proc").glob("[0-9]*/cmdline") if _names(file, script)]
    return process.returncode, lines, left


def _names(cmdline: Path, script: Path) -> bool:
    """Whether a process was started with the script."""
    try:
        return str(script).encode() in cmdline.read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("raise", "failed at step 18 (training, samples 272–287): ValueError: injected"),
        ("SIGKILL", "ended without a word at step 18 (training, samples 272–287): killed"),
        ("SIGSTOP", "is late at step 18 (training, samples 272–287): no progress for "),
    ],
)
def test_the_last_line_names_the_rank(
    what: str, why: str, tmp_path: Path, words: list[str]
) -> None:
    more = ["stall_minutes=0.1"] if what == "SIGSTOP" else []
    code, lines, left = start(tmp_path, [*words, *more], what)
    assert code not in (0, None), lines
    assert lines[-1].startswith(f"error: rank 1 on host {os.uname().nodename} {why}")
    assert lines[-1].endswith(f"details in {tmp_path}/run/failure.json")
    assert [line for line in lines if line.startswith("error:")] == lines[-1:]
    assert not any("Traceback" in line for line in lines)
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"
    assert left == []
