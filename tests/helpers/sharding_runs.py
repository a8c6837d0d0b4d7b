"""``preprocess/shard.py`` as real processes: the command line, its end, and its ranks."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

from dslm.shards.manifest import Manifest
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import Statistics
from dslm.tokenizers.load import load_tokenizer
from helpers.paths import ROOT

MPIRUN = Path(sys.executable).with_name("mpirun")
CHOICES = ["--shard-size", "10KB", "--clean", "text", "duplicates.documents=true"]
CHOICES += ["duplicates.paragraphs=true", "duplicates.near=true"]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
}


def texts(output: str = "set") -> list[str]:
    """The documents of a shard set."""
    shards = ShardSet.open(output)
    origins, tokenizer = ProvenanceReader(shards), load_tokenizer(shards.tokenizer)
    return [origins.text(number, tokenizer) for number in range(shards.documents)]


def statistics(output: str = "set") -> Statistics:
    return Manifest.load(Path(output)).statistics


def command(corpus: Path, output: Path, *more: str) -> list[str]:
    words = [sys.executable, str(ROOT / "preprocess" / "shard.py"), "--input"]
    words += [str(corpus / "corpus"), "--tokenizer", str(corpus / "tokenizer")]
    return [*words, "--output", str(output), *CHOICES, *more]


def mpirun(ranks: int, words: list[str]) -> list[str]:
    return [str(MPIRUN), "--oversubscribe", "-n", str(ranks), *words]


def run(words: list[str], timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command that must end well."""
    done = ended(words, timeout)
    assert done.returncode == 0, done.stderr
    return done


def ended(words: list[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
    )


def content(folder: Path) -> dict[str, str]:
    """The hash of every file of a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def ranks_of(launcher: int) -> list[int]:
    """The processes of our command that mpirun has started."""
    below = [launcher]
    for pid in below:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            below += map(int, children.read_text().split())
    return [pid for pid in below if "shard.py" in command_line(pid)[:2]]


def wait_until_gone(processes: list[int]) -> None:
    """Wait for processes that are no children of ours."""
    for _ in range(1000):
        if not any(command_line(pid)[1:] for pid in processes):
            return
        time.sleep(0.02)
    raise AssertionError(f"of the ranks {processes} some are alive")


def command_line(pid: int) -> list[str]:
    """Its words, without their folders; none of a process that has ended."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [Path(word).name for word in words]
