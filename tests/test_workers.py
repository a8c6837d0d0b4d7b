from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dslm
from dslm.errors import SetupError
from dslm.progress import Advance
from dslm.workers import Workers


def square(number: int, advance: Advance) -> int:
    advance(1)
    return number * number


def die(number: int, advance: Advance) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_the_order_of_the_units() -> None:
    reported: list[int] = []
    with Workers(2) as workers:
        assert workers.each(square, range(5), reported.append) == [0, 1, 4, 9, 16]
        assert workers.each(square, range(3), reported.append) == [0, 1, 4]
    assert sum(reported) == 8


def test_a_killed_worker_is_one_clear_error() -> None:
    reported = r"a worker was killed.*use fewer workers"
    with Workers(2) as workers, pytest.raises(SetupError, match=reported):
        workers.each(die, range(2), None)


def test_workers_that_start_a_script_again_are_not_taken_for_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from dslm.errors import SetupError\n"
        "from dslm.workers import Workers\n"
        "def nothing(number, advance): pass\n"
        "try:\n"
        "    with Workers(2) as workers: workers.each(nothing, range(4), None)\n"
        "except SetupError as error:\n"
        "    print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=True
    )
    assert "if __name__ == '__main__':" in ended.stdout
    assert "memory" not in ended.stdout


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import os, signal, sys, time\n"
        "from dslm.workers import Workers\n"
        "def work(number, advance):\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(100)\n"
        "if __name__ == '__main__':\n"
        "    with Workers(2) as workers:\n"
        "        workers.each(work, range(2), None)\n"
    )
    command = [sys.executable, str(program)]
    env = {**os.environ, "PYTHONPATH": str(Path(dslm.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as parent:
        started = [parent.stdout.readline() for _ in range(2)]
        parent.kill()
        assert all(started)
        parent.communicate(timeout=30)  # ends when the last worker has let go of standard output
