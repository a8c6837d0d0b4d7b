"""Text to tokens on one core: the whole of `shard` against `datasets.map` with the same tokenizer.

Both begin at the same file of JSON lines in gzip and end with tokens on the disk; ours hashes them
and finds sentences as well. Each run is the whole command, all of whose seconds on the processor
count: imports, a tokenizer that has not seen a word, and the work. The text is taken once, when
these are much of the time, and `COPIES` times over, which is nearer to a corpus of real size.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import NamedTuple

from measure import Options, Row, Table, speedup
from texts import corpus_files

from dslm.errors import DataError, Problem
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.progress import Progress
from dslm.tokenizers.tokenizer import MODEL

TEXT = 64_000_000
"""Bytes of Python's library that are taken, at most."""
SAMPLE = 8_000_000
"""Bytes of text that the tokenizers are trained on."""
DOCUMENT = 3000
"""Characters of a document."""
VOCABULARY = 32_000
COPIES = 6
ROUNDS = 3

WAYS = {"none": ("no cleaning", "≥ 2.5×"), "web": ("all cleaning", "≥ 5 MB/s")}
"""The presets of cleaning that are measured, in words, and what is wanted of each."""

PEER = "datasets"
"""The peer among the presets of cleaning."""


HERE = Path(__file__).resolve().parent
SHARD_SCRIPT = HERE.parent / "preprocess" / "shard.py"
PEER_SCRIPT = HERE / "datasets_map.py"


class Job(NamedTuple):
    """What a process has to do."""

    packed: Path
    """The text."""
    megabytes: float
    """How much that is."""
    tokenizer: Path
    """The tokenizer's folder."""
    clean: str
    """The preset of cleaning, or `PEER`."""


class Rate(NamedTuple):
    """Megabytes of text a second: of the processor, and by the clock."""

    core: float
    clock: float


def measure(options: Options) -> Table:
    """Tokenize the same text by both in turns."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        novels = sorted((options.corpora / "english_novels").glob("*_*_*.txt"))
        files = [*novels, *corpus_files(folder / "corpus", TEXT)]
        once, megabytes = _pack(files, folder / "once.jsonl.gz")
        often = folder / "often.jsonl.gz"
        often.write_bytes(once.read_bytes() * COPIES)  # members of gzip are one content
        texts = ((once, megabytes), (often, megabytes * COPIES))
        for kind in ("unigram", "bpe"):
            tokenizer = folder / kind
            train_tokenizer(
                files, tokenizer, TokenizerConfig(kind, VOCABULARY, sample_bytes=SAMPLE)
            )
            jobs = [Job(*text, tokenizer, clean) for text in texts for clean in ("none", PEER)]
            jobs.append(Job(*texts[1], tokenizer, "web"))
            rows += _rows(kind, _rounds(jobs, kind))
    text = "novels and of Python's library" if novels else "Python's library"
    setting = (
        f"{megabytes:.0f} MB of {text} in documents of {DOCUMENT:,} characters, and the same "
        f"{COPIES} times over; .jsonl.gz to tokens on the disk, one process and thread; tokenizers "
        f"of {VOCABULARY:,} pieces; the peer is `load_dataset`, `map` in batches with the same "
        f"SentencePiece model and no cleaning, `save_to_disk`. Megabytes for each second that a "
        f"whole process took of one core, imports included; in brackets by the clock. Median of "
        f"{ROUNDS} rounds"
    )
    return Table("Tokenizing", setting, rows)


def _rounds(jobs: Sequence[Job], label: str) -> dict[Job, list[Rate]]:
    """What each reached in every round, in turns."""
    rates: dict[Job, list[Rate]] = {job: [] for job in jobs}
    with Progress(ROUNDS * len(jobs), " turns", label) as progress:
        for number in range(ROUNDS):
            for job in jobs[:: -1 if number % 2 else 1]:
                rates[job].append(_done(job))
                progress.advance()
    return rates


def _rows(kind: str, rates: dict[Job, list[Rate]]) -> list[Row]:
    rows = []
    for job, ours in rates.items():
        if job.clean == PEER:
            continue
        peers = rates[job._replace(clean=PEER)]
        how, wanted = WAYS[job.clean]
        what = f"{kind}, {how}, {job.megabytes:.0f} MB"
        core, clock = (
            speedup(what, wanted, [*own], [*other], "MB")
            for own, other in zip(zip(*ours, strict=True), zip(*peers, strict=True), strict=True)
        )
        both = {
            side: f"{getattr(core, side)} ({getattr(clock, side)})" for side in ("ours", "peer")
        }
        rows.append(replace(core, **both))
    return rows


def _pack(files: Sequence[Path], target: Path) -> tuple[Path, float]:
    """All text as JSON lines in gzip, and its megabytes."""
    text = "\n".join(path.read_text() for path in files)
    documents = [text[start : start + DOCUMENT] for start in range(0, len(text), DOCUMENT)]
    with gzip.open(target, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": document}) + "\n" for document in documents)
    return target, len(text.encode()) / 1e6


def _done(job: Job) -> Rate:
    """Do the work by the command that does it."""
    with tempfile.TemporaryDirectory(dir=job.packed.parent) as name:
        command = _peer(job, Path(name)) if job.clean == PEER else _ours(job, Path(name))
        began, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
        ended = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        clock, after = time.perf_counter() - began, getrusage(RUSAGE_CHILDREN)
    if ended.returncode:
        raise DataError(Problem(str(command[1]), None, f"failed: {ended.stderr}"))
    core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Rate(job.megabytes / core, job.megabytes / clock)


def _ours(job: Job, folder: Path) -> list[Path | str]:
    given = ["--input", job.packed, "--tokenizer", job.tokenizer, "--clean", job.clean]
    return [sys.executable, SHARD_SCRIPT, *given, "--output", folder / "shards"]


def _peer(job: Job, folder: Path) -> list[Path | str]:
    return [sys.executable, PEER_SCRIPT, job.packed, job.tokenizer / MODEL, folder]
