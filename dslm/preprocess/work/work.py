"""What all passes over the work know: where it grows, and what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from dslm.files.fingerprint import Input
from dslm.files.whole import appearing
from dslm.preprocess.deduplicate.divided import ranges_of
from dslm.preprocess.read.inputs import describe
from dslm.preprocess.work.folder import UnitRecord, WorkFolder
from dslm.preprocess.work.plan import ShardingConfig, WorkUnit
from dslm.preprocess.work.rejects import Rejects
from dslm.progress import Advance
from dslm.shards.statistics import Statistics


@dataclass(frozen=True)
class Work:
    """What the passes have in common; small, since it is sent to a worker with every unit."""

    folder: WorkFolder
    sharding: ShardingConfig
    tokenizer_sha256: str
    """The model of the tokenizer with which the work began."""
    inputs_folder: Path
    """The folder that these names are relative to."""
    max_bad: int
    """Broken records to let pass."""
    rejects: bool
    """Whether rejected records are written aside."""
    units: int
    """How many units of text there are."""
    known: int
    """Files of the sets to compare with, which are parts of the comparison before these units."""

    @property
    def parts(self) -> list[Path]:
        """The signatures of all that is compared, in order."""
        names = [f"known-{n:05d}" for n in range(self.known)]
        names += [f"signatures-{n:05d}" for n in range(self.units)]
        return [*map(self.folder.file, names)]

    @property
    def ranges(self) -> int:
        """Ranges of hashes into which they are divided."""
        return ranges_of(self.known + self.units)

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        """Do a unit; each pass says which files it makes."""
        raise NotImplementedError

    @contextmanager
    def rejected(self, statistics: Statistics, name: str) -> Iterator[Rejects]:
        """Where a unit sends what becomes no document."""
        aside = appearing(self.folder.file(name)) if self.rejects else nullcontext()
        with aside as path, Rejects(statistics, self.folder.names, self.max_bad, path) as reject:
            yield reject

    def inputs(self, unit: WorkUnit) -> tuple[Input, ...]:
        """The inputs of which a unit holds the beginning, hashed."""
        begun = [piece.path for piece in unit.pieces if piece.start == 0]
        return tuple(describe(path, self.inputs_folder) for path in begun)
