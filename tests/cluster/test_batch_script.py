"""What the batch script does once its ranks have ended: with stand-ins for what SLURM has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT
from helpers.starting import BIN

SRUN = """#!/bin/sh
echo "$*" >>calls
echo "cores of a task: ${SRUN_CPUS_PER_TASK:-as SLURM does}"
[ -z "$STATUS" ] || cp "$STATUS.json" run/run.json
exit $CODE
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with a run, and programs that do as SLURM's and note how they were called."""
    for name in ("bin", "run"):
        (tmp_path / name).mkdir()
    dslm = f"#!{sys.executable}\nfrom dslm.commands.main import main\nmain()\n"
    scontrol = '#!/bin/sh\necho "scontrol $*" >>calls\n'
    for name, text in {"srun": SRUN, "scontrol": scontrol, "dslm": dslm}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    for status in ("done", "preempted", "failed", "running"):
        record = {"format": 1, "status": status, "config": {}}
        (tmp_path / f"{status}.json").write_text(json.dumps(record))
    return tmp_path


def submit(desk: Path, *words: str, **variables: str) -> tuple[int, list[str], str]:
    """The exit code of the batch script, what it called, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SLURM_JOB_ID": "17", **variables}
    environment["PATH"] = f"{desk}/bin:{BIN}:{os.environ['PATH']}"
    command = ["bash", str(ROOT / "launch" / "pretrain.sbatch"), *words]
    ended = subprocess.run(
        command, cwd=desk, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    calls = desk / "calls"
    called = calls.read_text().splitlines() if calls.exists() else []
    return ended.returncode, called, ended.stdout + ended.stderr


AGAIN = "scontrol requeue 17"


@pytest.mark.parametrize(
    ("before", "status", "code", "ends", "again"),
    [
        ("", "done", "0", 0, False),
        ("", "done", "143", 0, False),  # a task was ended before it had ended by itself
        ("", "preempted", "0", 0, True),
        ("preempted", "preempted", "143", 0, True),
        ("", "failed", "1", 1, False),
        ("preempted", "failed", "0", 1, False),
        ("", "running", "137", 137, False),
        ("preempted", "", "2", 2, False),  # it did not begin: a mistake would come back for ever
        ("done", "", "2", 2, False),
        ("", "", "0", 1, False),
    ],
)
def test_a_job_is_queued_again_by_what_the_folder_says_and_not_by_an_exit_code(
    before: str, status: str, code: str, ends: int, again: bool, desk: Path
) -> None:
    if before:
        (desk / "run" / "run.json").write_bytes((desk / f"{before}.json").read_bytes())
    got, calls, said = submit(desk, "tiny", "run=run", STATUS=status, CODE=code)
    assert calls[0] == "--kill-on-bad-exit=1 python -u launch/pretrain.py tiny run=run"
    assert (got, AGAIN in calls) == (ends, again), said


def test_a_job_is_queued_again_so_often_and_no_more(desk: Path) -> None:
    stopped = {"STATUS": "preempted", "CODE": "0", "DSLM_RESTARTS": "3"}
    assert submit(desk, "run=run", **stopped, SLURM_RESTART_COUNT="2")[0] == 0
    code, calls, said = submit(desk, "run=run", **stopped, SLURM_RESTART_COUNT="3")
    assert code == 1
    assert calls.count(AGAIN) == 1
    assert "DSLM_RESTARTS = 3: the job has been queued again so often" in said


def test_a_rank_gets_the_cores_that_the_job_asked_for(desk: Path) -> None:
    ended = {"STATUS": "done", "CODE": "0"}
    assert "cores of a task: as SLURM does" in submit(desk, "run=run", **ended)[2]
    assert "cores of a task: 12" in submit(desk, "run=run", **ended, SLURM_CPUS_PER_TASK="12")[2]


def test_a_job_without_a_folder_does_not_start(desk: Path) -> None:
    code, calls, said = submit(desk, "tiny", STATUS="done", CODE="0")
    assert (code, calls) == (2, [])
    assert "error: run: is missing" in said


@pytest.mark.parametrize("script", sorted((ROOT / "launch").glob("*.sbatch")), ids=lambda p: p.name)
def test_the_batch_scripts_are_read_by_bash(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
