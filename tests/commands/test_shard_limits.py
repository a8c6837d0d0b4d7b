"""What the command needs of memory and of the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.sharding_runs import command, content, ended, run

pytestmark = pytest.mark.slow

MEASURED = """\
import re, sys
from pathlib import Path
from dslm.commands.cli import run
from dslm.commands.shard import main
code = run(main, sys.argv[1:])
# Not getrusage, which begins at the peak of the process that started this one.
print(code, re.search("VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1])
"""


def test_a_worker_needs_no_more_memory_for_four_times_the_text(
    corpus: Path, tmp_path: Path
) -> None:
    line = " ".join(f"the river {number} falls" for number in range(15))
    text = "".join(json.dumps({"text": f"{n} {line}"}) + "\n" for n in range(10_000))
    peaks = []
    for times in (4, 16):
        path = tmp_path / f"{times}.jsonl"
        path.write_text(text * times)
        words = [sys.executable, "-c", MEASURED, "--input", str(path), "--output"]
        words += [str(tmp_path / f"set-{times}"), "--tokenizer", str(corpus / "tokenizer")]
        code, peak = run(words).stdout.splitlines()[-1].split()
        assert code == "0"
        peaks.append(int(peak) / 1024)
    assert peaks[1] < peaks[0] + 25, f"{peaks} MiB"
    assert peaks[1] < 400, f"{peaks} MiB"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_is_reported_and_what_is_done_is_kept(
    corpus: Path, alone: dict[str, str], small_disk: Path, workers: str
) -> None:
    words = command(corpus, small_disk / "set", "--workers", workers)
    done = ended(words)
    assert done.returncode == 2
    (error,) = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    assert "No space left on device; free some space and repeat the command" in error
    records = list((small_disk / ".set.partial" / "records").glob("*.json"))
    assert records
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert f"{len(records)} units done before" in run(words).stderr
    assert content(small_disk / "set") == alone
