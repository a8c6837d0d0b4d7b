"""In processes of their own, since the streams of this one belong to pytest."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers.paths import ROOT

from dslm.train.output import UserStream

HEAD = """\
import ctypes, os, subprocess, sys
from pathlib import Path
from dslm.commands.cli import run
from dslm.errors import DataError, Problem
from dslm.train.output import redirect_output

def main(arguments):
    print("before")
    with redirect_output(Path("logs") / "rank-0.log") as (results, messages):
"""
TAIL = """
    print("after")

sys.exit(run(main, []))
"""


def ended(folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """Runs lines of code within `redirect_output`."""
    code = HEAD + "".join(f"        {line}\n" for line in lines) + TAIL
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )


def log(folder: Path) -> str:
    return (folder / "logs" / "rank-0.log").read_text()


def test_what_libraries_print_goes_to_the_file_and_our_messages_to_the_user(tmp_path: Path) -> None:
    run = ended(
        tmp_path,
        "print('from python')",
        "print('warned', file=sys.stderr)",
        "os.write(1, b'from C, out\\n'); os.write(2, b'from C, err\\n')",
        "ctypes.CDLL(None).puts(b'from libc')",
        "ctypes.CDLL(None).fflush(None)",
        "subprocess.run(['echo', 'from a child'])",
        "print('result', file=results)",
        "print('message', file=messages)",
    )
    assert run.returncode == 0
    assert run.stdout == "before\nresult\nafter\n"
    assert run.stderr == "message\n"
    assert sorted(log(tmp_path).splitlines()) == sorted(
        ["from python", "warned", "from C, out", "from C, err", "from libc", "from a child"]
    )


def test_a_mistake_of_the_user_stays_one(tmp_path: Path) -> None:
    run = ended(tmp_path, "raise DataError(Problem('shards', None, 'are damaged'))")
    assert run.returncode == 2
    assert run.stderr == "error: shards: are damaged\n"


def test_a_crash_leaves_its_stack_in_the_file(tmp_path: Path) -> None:
    run = ended(tmp_path, "os.kill(os.getpid(), 11)")
    assert run.returncode == -11
    assert "Segmentation fault" in log(tmp_path)


def test_the_file_keeps_what_earlier_runs_printed(tmp_path: Path) -> None:
    for number in range(2):
        ended(tmp_path, f"print('run {number}')")
    assert log(tmp_path) == "run 0\nrun 1\n"


def test_nobody_reading_any_more_stops_nothing(tmp_path: Path) -> None:
    run = ended(
        tmp_path,
        "a, b = os.pipe(); os.dup2(b, 1); os.close(a)",
        "with redirect_output(Path('again.log')) as (gone, _):",
        "    gone.lines('one'); gone.lines('two'); print('three', file=gone)",
        "print('still here', file=messages)",
    )
    assert "still here" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_stream_on_a_full_disk_stops_nothing_and_goes_on_when_there_is_room() -> None:
    class Disk(io.BytesIO):
        full = True

        def write(self, data: Any) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    disk = Disk()
    stream = UserStream(disk)
    stream.lines("lost, or late")
    disk.full = False
    stream.lines("later")
    assert b"later" in disk.getvalue()
