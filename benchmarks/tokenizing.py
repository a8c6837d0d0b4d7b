"""Text to tokens on one core: the whole of `shard` against `datasets.map` with the same tokenizer.

Both begin at the same file of JSON lines in gzip and end with tokens on the disk; ours hashes them
and finds sentences as well. Each run has a process of its own, which does the work twice: first
cold, with all that starting takes, imports included; then warm, with the tokenizer open and the
words of the text known to it. The figures are megabytes of text for each second of one core.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from measure import Options, Rates, Row, Table, speedup
from texts import corpus_files

from dslm.data.tokenizer import MODEL
from dslm.data.tokenizer_training import Training, train_tokenizer
from dslm.progress import Progress

TEXT = 64_000_000
"""Bytes of Python's library that are taken, at most."""
SAMPLE = 8_000_000
"""Bytes of text that the tokenizers are trained on."""
DOCUMENT = 3000
"""Characters of a document."""
VOCABULARY = 32_000
ROUNDS = 3


class Job(NamedTuple):
    """What a process has to do; it is sent there."""

    packed: Path
    """The text."""
    folder: Path
    """Where to write."""
    tokenizer: Path
    """The tokenizer's folder."""
    clean: str
    """The preset of cleaning; `datasets` for the peer."""


class Taken(NamedTuple):
    """The seconds of a run: of the processor, and by the clock."""

    cold: float
    warm: float
    cold_clock: float
    warm_clock: float


def measure(options: Options) -> Table:
    """Tokenize the same text by both in turns."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        novels = sorted((options.corpora / "english_novels").glob("*_*_*.txt"))
        files = [*novels, *corpus_files(folder / "corpus", TEXT)]
        packed, megabytes = _pack(files, folder / "text.jsonl.gz")
        for kind in ("unigram", "bpe"):
            tokenizer = folder / kind
            train_tokenizer(files, tokenizer, Training(kind, VOCABULARY, sample_bytes=SAMPLE))
            jobs = {
                clean: Job(packed, folder, tokenizer, clean)
                for clean in ("none", "web", "datasets")
            }
            rows += _rows(kind, _rounds(jobs, kind), megabytes)
    text = "novels and of Python's library" if novels else "Python's library"
    setting = (
        f"{megabytes:.0f} MB of {text} in documents of {DOCUMENT:,} characters, .jsonl.gz to "
        f"tokens on the disk, one process; tokenizers of {VOCABULARY:,} pieces; the peer is "
        f"`load_dataset`, `map` in batches with the same SentencePiece model and no cleaning, "
        f"`save_to_disk`. Megabytes for each second of the processor, in brackets by the clock. "
        f"Cold: a whole process, with imports and a tokenizer that knows no word; warm: the same "
        f"again in that process. Median of {ROUNDS} rounds"
    )
    return Table("Tokenizing", setting, rows)


def _rounds(jobs: dict[str, Job], label: str) -> dict[str, list[Taken]]:
    """What each took in every round, in turns."""
    taken: dict[str, list[Taken]] = {name: [] for name in jobs}
    spawn = multiprocessing.get_context("spawn")
    with Progress(ROUNDS * len(jobs), " turns", label) as progress:
        for number in range(ROUNDS):
            for name in list(jobs)[:: -1 if number % 2 else 1]:
                with ProcessPoolExecutor(1, spawn) as process:
                    taken[name].append(process.submit(_twice, jobs[name]).result())
                progress.advance()
    return taken


def _rows(kind: str, taken: dict[str, list[Taken]], megabytes: float) -> list[Row]:
    rows = []
    for clean, target in (("none", "≥ 2.5×"), ("web", "—")):
        for when in ("cold", "warm"):
            rates: Rates = {
                f"{name} {clock}": [megabytes / getattr(one, when + clock) for one in taken[name]]
                for name in (clean, "datasets")
                for clock in ("", "_clock")
            }
            what = (
                f"{kind}, {'every cleaning step on' if clean == 'web' else 'no cleaning'}, {when}"
            )
            row, clock = (
                speedup(what, target, rates[f"{clean} {by}"], rates[f"datasets {by}"], "MB")
                for by in ("", "_clock")
            )
            ours, peer = f"{row.ours} ({clock.ours})", f"{row.peer} ({clock.peer})"
            rows.append(replace(row, ours=ours, peer=peer))
    return rows


def _pack(files: Sequence[Path], target: Path) -> tuple[Path, float]:
    """All text as JSON lines in gzip, and its megabytes."""
    text = "\n".join(path.read_text() for path in files)
    documents = [text[start : start + DOCUMENT] for start in range(0, len(text), DOCUMENT)]
    with gzip.open(target, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": document}) + "\n" for document in documents)
    return target, len(text.encode()) / 1e6


def _twice(job: Job) -> Taken:
    """Do the work cold and warm, in a process that has done nothing before."""
    began = time.perf_counter()
    work = _peer(job) if job.clean == "datasets" else _ours(job)
    work()
    cold, clock = time.process_time(), time.perf_counter()
    work()
    warm, end = time.process_time() - cold, time.perf_counter()
    return Taken(cold, warm, clock - began, end - clock)


def _ours(job: Job) -> Any:
    from dslm.data.sharding import shard
    from dslm.data.work.plan import Choices, Sharding

    def work() -> None:
        shutil.rmtree(job.folder / "shards", ignore_errors=True)
        chosen = Choices.read(job.clean, [])
        sharding = Sharding(job.tokenizer, cleaning=chosen.cleaning, duplicates=chosen.duplicates)
        shard([job.packed], job.folder / "shards", sharding)

    return work


def _peer(job: Job) -> Any:
    import datasets
    import sentencepiece

    datasets.disable_progress_bars()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(job.tokenizer / MODEL))
    cache = job.folder / "cache"

    def encode(batch: dict[str, Any]) -> dict[str, Any]:
        return {"tokens": processor.encode(batch["text"])}

    def work() -> None:
        shutil.rmtree(cache, ignore_errors=True)
        loaded = datasets.load_dataset(
            "json", data_files=str(job.packed), split="train", cache_dir=str(cache)
        )
        mapped = loaded.map(encode, batched=True, remove_columns="text")
        mapped.save_to_disk(str(job.folder / "mapped"))

    return work
