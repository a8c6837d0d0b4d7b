"""Many processes make one shard set, and whoever makes it, the bytes are the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import slurm
from helpers.needs import absent, need
from helpers.sharding_runs import (
    ENVIRONMENT,
    ROOT,
    command,
    content,
    ended,
    mpirun,
    ranks_of,
    run,
    wait_until_gone,
)

pytestmark = pytest.mark.slow

KILLS = 20


@pytest.mark.parametrize("workers", [2, 4])
def test_more_workers_make_the_same_bytes(
    corpus: Path, alone: dict[str, str], tmp_path: Path, workers: int
) -> None:
    run(command(corpus, tmp_path / "set", "--workers", str(workers)))
    assert content(tmp_path / "set") == alone


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_of_mpirun_make_the_same_bytes_and_one_of_them_tells(
    corpus: Path, alone: dict[str, str], tmp_path: Path, ranks: int
) -> None:
    done = run(mpirun(ranks, command(corpus, tmp_path / "set")))
    assert content(tmp_path / "set") == alone
    assert done.stdout.count("next:") == 1
    assert done.stderr.count(f"{ranks} tasks of 1 worker") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.fixture
def cluster() -> Iterator[slurm.Cluster]:
    need(absent(slurm.PROGRAMS))
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        slurm.cluster(Path(folder)) as started,
    ):
        yield started


def test_two_tasks_of_a_slurm_array_make_the_same_bytes(
    corpus: Path, alone: dict[str, str], tmp_path: Path, cluster: slurm.Cluster
) -> None:
    script = tmp_path / "job.sh"
    words = " ".join(map(repr, command(corpus, tmp_path / "set")))
    script.write_text(f"#!/bin/bash\nexport PYTHONPATH='{ROOT}'\nexec {words}\n")
    cluster.run(script, "--array=0-1", f"--output={tmp_path}/out-%a")
    reported = [(tmp_path / f"out-{task}").read_text() for task in range(2)]
    assert content(tmp_path / "set") == alone, reported
    assert all("2 tasks of 1 worker" in text and "next:" in text for text in reported)


def test_twenty_times_killed_and_begun_again_it_makes_the_same_bytes(
    corpus: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    draw, output = random.Random(11), tmp_path / "set"
    words = command(corpus, output, "--workers", "2")
    unfinished, kills, ends = tmp_path / ".set.partial", 0, 0
    while kills < KILLS:
        process = subprocess.Popen(
            words,
            env=ENVIRONMENT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and not (unfinished / "plan.json").exists():
            time.sleep(0.01)
        try:
            process.wait(draw.uniform(0, 1.2))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait(30)
        if output.exists():
            assert content(output) == alone
            output.rename(tmp_path / f"made-{ends}")
            ends += 1
    run(words)
    assert content(output) == alone
    assert not unfinished.exists()


def test_the_sets_of_a_split_are_the_same_after_a_kill_and_under_mpirun(
    corpus: Path, tmp_path: Path
) -> None:
    split = ["--split", "train=8,validation=1,test=1"]
    run(command(corpus, tmp_path / "alone", *split))
    alone = content(tmp_path / "alone")
    assert {name.partition("/")[0] for name in alone} == {"train", "validation", "test"}
    words, quiet = command(corpus, tmp_path / "sets", *split), subprocess.DEVNULL
    records = tmp_path / ".sets.partial" / "records"
    with subprocess.Popen(
        words, env=ENVIRONMENT, start_new_session=True, stdout=quiet, stderr=quiet
    ) as process:
        while len(list(records.glob("write-*.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    done = run(mpirun(2, words))
    assert "units done before, which are checked" in done.stderr
    assert content(tmp_path / "sets") == alone


def test_killed_in_each_pass_that_compares_it_goes_on_and_makes_the_same_bytes(
    corpus: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    words = command(corpus, tmp_path / "set", "--workers", "2")
    folder = tmp_path / ".set.partial"
    for name, made in (("match", "matched"), ("decide", "kept"), ("repeat", "repeated")):
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            words, env=ENVIRONMENT, start_new_session=True, stdout=quiet, stderr=quiet
        ) as process:
            while len(done := list(folder.glob(f"records/{name}-*.json"))) < 3:
                assert process.poll() is None
                time.sleep(0.005)
            os.killpg(process.pid, signal.SIGKILL)
        assert not list(folder.glob("records/write-*.json"))
        number = sorted(done)[1].stem[-5:]
        spoil(folder / "files" / f"{made}-{number}")
    run(words)
    assert content(tmp_path / "set") == alone


def test_the_exception_of_one_rank_ends_all_with_its_message(corpus: Path, tmp_path: Path) -> None:
    program = tmp_path / "failing.py"
    program.write_text(
        "import time\n"
        "from dslm.commands.cli import explain, script\n"
        "from dslm.errors import DataError, Problem\n"
        "from dslm.preprocess.work.mpi import join_ranks\n"
        "def main(arguments):\n"
        "    with join_ranks(explain) as ranks:\n"
        "        if ranks.rank == 1:\n"
        "            raise DataError(Problem('page 7', None, 'is torn'))\n"
        "        time.sleep(1000)\n"
        "script(main)\n"
    )
    done = ended(mpirun(3, [sys.executable, str(program)]))
    assert done.returncode != 0
    assert done.stderr.count("error: page 7: is torn") == 1


def test_a_mistake_that_all_ranks_would_make_is_reported_once(corpus: Path, tmp_path: Path) -> None:
    for mistake, reported in (
        (["--input", "nothing.txt"], "error: nothing.txt: no such file"),
        (["--tokenizer", "nothing"], "error: --tokenizer = 'nothing': there is no such folder"),
        (["--output", str(corpus)], "holds something else; remove it or choose another --output"),
    ):
        done = ended(mpirun(3, command(corpus, tmp_path / "set", *mistake)))
        assert done.returncode != 0
        assert done.stderr.count("error:") == 1
        assert reported in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_rank_that_is_killed_costs_no_unit_that_was_done(
    corpus: Path, alone: dict[str, str], tmp_path: Path
) -> None:
    words = mpirun(3, command(corpus, tmp_path / "set"))
    folder = tmp_path / ".set.partial"
    with subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        while len(ranks := ranks_of(process.pid)) < 3:
            assert process.poll() is None
        while len(list(folder.glob("records/clean-*.json"))) < 3:
            assert process.poll() is None
            for step in (signal.SIGCONT, signal.SIGSTOP):  # lest all is done before we look again
                for rank in ranks:
                    os.kill(rank, step)
                time.sleep(0.02)
        os.kill(ranks[-1], signal.SIGKILL)
        assert process.wait(60) != 0
    wait_until_gone(ranks)
    records = [json.loads(path.read_text()) for path in folder.glob("records/clean-*.json")]
    done = sorted(name for record in records for name in record["files"])
    assert len(done) >= 3
    links = [tmp_path / name for name in done]
    for name, link in zip(done, links, strict=True):
        os.link(folder / "files" / name, link)
    spoil(links[-1])
    found = files_during(words, [folder / "files" / name for name in done])
    assert content(tmp_path / "set") == alone
    again = {path.name for path, inodes in found.items() if len(inodes) > 1}
    assert {done[-1]} <= again <= {name for name in done if name.endswith(done[-1][-5:])}


def files_during(words: list[str], paths: list[Path]) -> dict[Path, set[int]]:
    """Run a command; the files that stood under some names meanwhile, as long as they all live."""
    found: dict[Path, set[int]] = {path: set() for path in paths}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, env=ENVIRONMENT, stdout=quiet, stderr=quiet) as process:
        while process.poll() is None:
            for path, inodes in found.items():
                with suppress(FileNotFoundError):
                    inodes.add(path.stat().st_ino)
            time.sleep(0.005)
    assert process.returncode == 0
    return found


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("commands", [2, 4])
def test_commands_for_one_output_share_the_work_and_all_end_well(
    corpus: Path, alone: dict[str, str], tmp_path: Path, commands: int
) -> None:
    words = command(corpus, tmp_path / "set")
    pipe = subprocess.PIPE
    count = {"SLURM_ARRAY_TASK_COUNT": f"{commands}"}
    tasks = [{"SLURM_ARRAY_TASK_ID": f"{number}", **count} for number in range(commands)]
    started = [
        subprocess.Popen(words, env={**ENVIRONMENT, **task}, stdout=pipe, stderr=pipe, text=True)
        for task in tasks
    ]
    reported = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0] * commands, reported
    assert content(tmp_path / "set") == alone
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
