"""Any pile of text in, one shard set out; on as many processes as one likes, resumed after any end.

The path of the work: `plan` cuts the inputs into units; `passes` says what is done with each;
`coordination` sees that all of it is done, here or by others; `assemble` joins the finished units
in one folder, which one rename publishes. Until then what is done is kept in a folder beside it.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dslm.environment import Task
from dslm.errors import DataError, DslmError, Problem, SetupError
from dslm.files.published import occupied, refuse
from dslm.preprocess.read.inputs import common_folder
from dslm.preprocess.work.assemble import Assembly, assemble, gather_rejects, settings_of
from dslm.preprocess.work.comparing import Sign, comparing
from dslm.preprocess.work.coordination import WAIT, WorkPass
from dslm.preprocess.work.folder import FORMAT, UnitRecord, WorkFolder
from dslm.preprocess.work.inputs import are_those, states
from dslm.preprocess.work.known import known_sets
from dslm.preprocess.work.passes import Clean, Write
from dslm.preprocess.work.plan import ShardingConfig, WorkUnit, plan
from dslm.preprocess.work.rejects import MAX_BAD, nothing_kept
from dslm.preprocess.work.split import no_document
from dslm.preprocess.work.versions import versions
from dslm.preprocess.work.watch import Listeners, Notice
from dslm.preprocess.work.work import Work
from dslm.progress import Advance
from dslm.shards.manifest import FILE
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import Statistics
from dslm.tokenizers.load import load_tokenizer
from dslm.workers import Workers


@dataclass(frozen=True)
class Execution:
    """How the work is executed; none of this changes the shards."""

    workers: int = 1
    """Processes to work in."""
    task: Task = field(default_factory=Task)
    """This process among others that were started for the same output."""
    max_bad: int = MAX_BAD
    """Broken records after which to stop."""
    rejects: Path | None = None
    """The file for records that were left out, or `None`."""
    progress: Advance | None = None
    """Called with the bytes of text that any process has worked on since the last call; see
    `ShardingConfig.passes`. Of a set that exists already: the bytes of inputs compared with it."""
    notice: Notice | None = None
    """Called with a sentence that the user should read meanwhile."""


def shard(
    paths: Sequence[Path],
    output: Path,
    sharding: ShardingConfig,
    execution: Execution | None = None,
) -> tuple[ShardSet, bool]:
    """Make a shard set, unless it exists already.

    Args:
        paths: files from `read.inputs.expand`.
        output: the folder to make.
        sharding: the tokenizer and what decides the content.
        execution: what does not.

    Returns:
        The shard set, and whether it was made now.

    Raises:
        DataError: a text or the tokenizer cannot be used, the text is empty, or `output` holds
            something else.
        SetupError: the disk is full, or a worker was killed.
        ValueError: a split makes several sets; see `shard_sets`.
    """
    sets, made = shard_sets(paths, output, sharding, execution)
    (only,) = sets.values()
    return only, made


def shard_sets(
    paths: Sequence[Path],
    output: Path,
    sharding: ShardingConfig,
    execution: Execution | None = None,
) -> tuple[dict[str, ShardSet], bool]:
    """Make the sets of a split, all at once, unless they exist already.

    Args:
        paths: files from `read.inputs.expand`.
        output: the folder to make, with a folder for each set; without a split the only set.
        sharding: the tokenizer and what decides the content, the split too.
        execution: what does not.

    Returns:
        The sets by name, and whether they were made now; the only one of no split has no name.

    Raises:
        DataError: as `shard`; or no document falls into one of the sets.
        SetupError: the disk is full, or a worker was killed.
    """
    job = _Job(paths, output, sharding, execution or Execution())
    made = False
    if not occupied(output):
        try:
            made = job.make()
        except (DataError, OSError) as error:
            if not occupied(output):  # or else others have made it, and cleaned up under our feet
                raise _as_user_error(error, output) from None
    sets = {name: ShardSet.open(output / name) for name in sharding.sets} if made else job.find()
    job.folder.remove()  # left over when its process ended between publishing and cleaning up
    return sets, made


class _Job:
    """One shard set to be made or found; see `shard` for the arguments."""

    def __init__(
        self, paths: Sequence[Path], output: Path, sharding: ShardingConfig, execution: Execution
    ) -> None:
        self.paths, self.output = paths, output
        self.sharding, self.execution = sharding, execution
        self.tokenizer = load_tokenizer(sharding.tokenizer)
        self.folder = WorkFolder.beside(output)
        self.aside = execution.rejects is not None
        self.listeners = Listeners(execution.max_bad, execution.progress, execution.notice)

    def plan(self) -> dict[str, Any]:
        """What must be the same when unfinished work is resumed; see `plan_difference`."""
        return {
            "inputs": self.inputs,
            "settings": self.sharding.settings(),
            "tokenizer": self.tokenizer.sha256,
            **({"begin": [*self.tokenizer.begin]} if self.tokenizer.begin else {}),
            "rejects": self.aside,
            "made_with": versions(),
            "format": FORMAT,
        }

    @cached_property
    def inputs(self) -> list[tuple[str, str]]:
        """The inputs as they were in the beginning."""
        return states(self.paths)

    def make(self) -> bool:
        """See that the set is made, by this process or by others; False if it existed."""
        units = plan(self.paths, self.sharding)
        with self.folder.joined(self.plan()) as since:
            if occupied(self.output):  # published since we looked: the folder is ours alone
                self.folder.remove()
                return False
            cleaned, written = self._work(units, since)
            while not self._ended():
                with self.folder.lock("publish", 0) as free:
                    if free and not self._ended():
                        self._publish(cleaned, written)
                if not self._ended():
                    time.sleep(WAIT)
        if not self._there():
            rule = "was removed by another process"
            fix = "see what it reported, or repeat the command"
            raise DataError(Problem(str(self.folder.path), None, rule, fix))
        return True

    def find(self) -> dict[str, ShardSet]:
        """The existing shard sets, if they are those asked for."""
        if not self._there():
            raise refuse(self.output, self._incomplete())
        sets = {name: ShardSet.open(self.output / name) for name in self.sharding.sets}
        tokenizer, settings = self.tokenizer, self.sharding.settings()
        for name, there in ((name, one.manifest) for name, one in sets.items()):
            wanted = (tokenizer.sha256, tokenizer.begin, settings_of(settings, name))
            same = (there.tokenizer_sha256, there.begin, there.settings) == wanted
            # Once for all: by one process, and of sets that have the same inputs by the last.
            prove = self.execution.task.rank == 0 and name == self.sharding.sets[-1]
            if not same or not are_those(self.paths, there.inputs, prove, self.execution.progress):
                rule = "holds a shard set made from other text or with other settings"
                raise refuse(self.output, rule)
        return sets

    def _incomplete(self) -> str:
        """What an output folder holds that does not hold all sets."""
        wanted = self.sharding.sets
        there = [name for name in wanted if (self.output / name / FILE).is_file()]
        missing = [name for name in wanted if name not in there]
        if not there:
            return "holds something else"
        return f"holds {' and '.join(there)}, but not {' and '.join(missing)}"

    def _there(self) -> bool:
        return all((self.output / name / FILE).is_file() for name in self.sharding.sets)

    def _ended(self) -> bool:
        return self._there() or not self.folder.path.exists()

    def _work(
        self, units: Sequence[WorkUnit], since: int
    ) -> tuple[list[UnitRecord], list[UnitRecord]]:
        """The records of cleaning, where that is a pass of its own, and those of writing."""
        execution, sharding = self.execution, self.sharding
        known = known_sets(sharding.against).units
        shared = (
            *(self.folder, sharding, self.tokenizer.sha256, common_folder(self.paths)),
            *(execution.max_bad, self.aside, len(units), len(known)),
        )
        with Workers(execution.workers) as workers:

            def finish(
                name: str, work: Work, units: list[WorkUnit], in_order: bool = False
            ) -> list[UnitRecord]:
                work_pass = WorkPass(name, self.folder, work, execution.task, since, in_order)
                return work_pass.finish(units, workers, self.listeners, self._ended)

            cleaned: list[UnitRecord] = []
            if sharding.duplicates.any:
                finish("sign", Sign(*shared), known)
                cleaned = finish("clean", Clean(*shared), [*units])
                for one in comparing(Work(*shared), sum(unit.size for unit in units)):
                    finish(one.name, one.kind(*shared), one.units, one.in_order)
            return cleaned, finish("write", Write(*shared), [*units])

    def _publish(self, cleaned: list[UnitRecord], written: list[UnitRecord]) -> None:
        """Put the set in its place and clean up."""
        records = [*cleaned, *written]
        self._compare_inputs()
        if self.execution.rejects is not None:
            gather_rejects(self.folder, records, self.execution.rejects)
        kept = {name: sum(_tokens(done, name) for done in written) for name in self.sharding.sets}
        if not all(kept.values()):
            raise self._came_to_nothing(records, [name for name in kept if not kept[name]])
        settings = self.sharding.settings()
        assembly = Assembly(self.folder, records, self.tokenizer, settings)
        made = assemble(assembly, self.sharding.sets)
        # Where locks do not work others may be here too; this fails for all but the first of them.
        made.replace(self.output)
        self.folder.remove()

    def _compare_inputs(self) -> None:
        """Refuse inputs that are not what they were: units may have read either."""
        rule, fix = "has changed while it was read", f"remove {self.folder.path} and begin again"
        now = states(self.paths)
        changed = [one[0] for one, other in zip(self.inputs, now, strict=True) if one != other]
        if changed:
            raise DataError(*(Problem(name, None, rule, fix) for name in changed))

    def _came_to_nothing(self, records: Sequence[UnitRecord], empty: Sequence[str]) -> DataError:
        """The error for sets without a document; another command may begin in their place."""
        if self.aside:  # whoever wants to know what was left out may have waited long for it
            self.folder.came_to_nothing()
        else:
            self.folder.remove()
        split = self.sharding.split
        if split is None or len(empty) == len(split.names):
            statistics = Statistics()
            for done in records:
                statistics.add(done.statistics)
            return DataError(*nothing_kept(statistics))
        documents = sum(one.statistics.documents for done in records for one in done.sets.values())
        reading = self.sharding.reading
        return DataError(no_document(split, empty, documents, self.paths, reading))


def _tokens(done: UnitRecord, name: str) -> int:
    return done.sets[name].statistics.tokens


def _as_user_error(error: DataError | OSError, output: Path) -> DslmError:
    if isinstance(error, DataError):
        return error
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        rule = f"cannot be written: {reason}"
        fix = "free some space and repeat the command: what is done is kept"
        return SetupError(Problem(str(output), None, rule, fix))
    where = str(error.filename or output)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG):
        fix = "mend that, or choose another place with --output"
        return SetupError(Problem(where, None, f"cannot be written or read: {reason}", fix))
    return SetupError(Problem(where, None, reason, "repeat the command: what is done is kept"))
