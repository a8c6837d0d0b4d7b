"""Memory of deciding on duplicates: made-up signatures, and 1, 2 and 4 processes that share them.

Each process makes the passes of `dslm.preprocess.work.comparing` on one work folder, as a task of a
SLURM array does, and notes the highest mark of what it allocated. Signatures are mapped from files
and not counted.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
from measure import Options, Row, Table

from dslm.environment import Task
from dslm.preprocess.deduplicate.divided import Divided, divide, ranges_of
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.signatures import Signatures
from dslm.preprocess.text.ragged import Ragged
from dslm.preprocess.work.comparing import Decide, comparing
from dslm.preprocess.work.coordination import WorkPass
from dslm.preprocess.work.folder import WorkFolder
from dslm.preprocess.work.plan import ShardingConfig
from dslm.preprocess.work.watch import Listeners
from dslm.preprocess.work.work import Work
from dslm.progress import Progress, counted
from dslm.workers import Workers

NEAR, PARAGRAPHS = (
    Duplicates(documents=True, near=True),
    Duplicates(documents=True, paragraphs=True),
)
SHAPES = {
    "all different": (NEAR, 0.0, 0, 69),
    "a tenth shares all its bands": (NEAR, 0.1, 0, 161),
    "ten paragraphs each": (PARAGRAPHS, 0.0, 10, 519),
}
"""What is looked for; the share of documents that are near to another; paragraphs of each; bytes a
document in one process that sorts all hashes at once, as up to version 0.1."""
DOCUMENTS, PARTS = 200_000, 64
PROCESSES = (1, 2, 4)
MANY_NAMES = 400_000


class WithoutTexts(Decide):
    """Finds all candidates near, since there are no texts to compare."""

    @cached_property
    def _like(self) -> Callable[[int, int], bool]:  # type: ignore[override]
        return lambda document, other: True


def measure(options: Options) -> Table:
    """Measure each shape with each number of processes."""
    rows = []
    with Progress(len(SHAPES), " shapes", "duplicates-memory") as progress:
        for shape, (*_, undivided) in SHAPES.items():
            for number in PROCESSES:
                peaks = figures(shape, DOCUMENTS, PARTS, number)
                rows.append(
                    Row(
                        f"{shape}; {counted(number, 'process')}",
                        "≤ 1.20×",
                        f"{max(peaks):.1f} bytes, {sum(peaks):.1f} in all",
                        f"{undivided} bytes ÷ {number}",
                        f"{max(peaks) * number / undivided:.2f}×",
                    )
                )
            progress.advance()
    setting = (
        f"bytes a document at the highest mark of the fullest process, and of all together; "
        f"{DOCUMENTS:,} documents in {PARTS} units of work and as many ranges of hashes; made-up "
        "signatures: exact and 14 bands, or exact and paragraphs; no texts are read. Beside it "
        "what one process needed for all hashes at once, in equal shares"
    )
    return Table("Memory of deciding on duplicates", setting, rows)


def _signatures(shape: str, documents: int) -> Signatures:
    settings, share, paragraphs, _ = SHAPES[shape]
    random = np.random.default_rng(0)

    def column(size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
        return random.integers(1, 1 << 64, size, np.uint64)

    like = random.permutation(documents)[: int(share * documents)]
    other = random.integers(0, documents, like.size)
    bands = [column(documents) for _ in range(settings.bands if settings.near else 0)]
    for band in bands:
        band[like] = band[other]
    lengths = np.full(documents, paragraphs)
    rows = Ragged.of_lengths(column(documents * paragraphs), lengths)
    bare = np.zeros(documents, np.uint8)
    return Signatures((column(documents), column(documents)), rows, bare, tuple(bands))


def figures(shape: str, documents: int, parts: int, processes: int) -> list[float]:
    """Bytes a document at the highest mark of each of some processes."""
    signed = _signatures(shape, documents)
    with tempfile.TemporaryDirectory() as name:
        folder = WorkFolder(Path(name))
        with folder.joined({}):
            for number, rows in enumerate(np.array_split(np.arange(documents), parts)):
                part = _slice(signed, int(rows[0]), int(rows[-1]) + 1)
                divide(part, ranges_of(parts)).save(folder.file(f"signatures-{number:05d}"))
        del signed
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, spawn) as pool:
            tasks = [Task(rank, processes) for rank in range(processes)]
            work = [pool.submit(_task, folder, SHAPES[shape][0], parts, task) for task in tasks]
            return [one.result() / documents for one in work]


def _slice(signed: Signatures, begin: int, end: int) -> Signatures:
    return Signatures(
        tuple(half[begin:end] for half in signed.exact),
        signed.paragraphs.slice(begin, end),
        signed.bare[begin:end],
        tuple(band[begin:end] for band in signed.bands),
    )


def _task(folder: WorkFolder, settings: Duplicates, parts: int, task: Task) -> int:
    """Make all passes together with the other tasks; the highest mark of this one."""
    sharding = ShardingConfig(Path(), duplicates=settings)
    shared = (folder, sharding, "", Path(), 0, False, parts, 0)
    Divided.load(Work(*shared).parts[0])  # libraries that are imported now are not counted
    for number in range(MANY_NAMES):  # nor is the table of names, which grows with each path
        sys.intern(f"{number}")
    with folder.joined({}) as since, Workers(1) as workers:
        tracemalloc.start()
        for one in comparing(Work(*shared), 0):
            kind = WithoutTexts if one.kind is Decide else one.kind
            work_pass = WorkPass(one.name, folder, kind(*shared), task, since, one.in_order)
            work_pass.finish(one.units, workers, Listeners(0), lambda: False)
        return tracemalloc.get_traced_memory()[1]
