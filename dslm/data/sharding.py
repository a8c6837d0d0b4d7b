"""Any pile of text in, one shard set out; on as many processes as one likes, resumed after any end.

The way of the work: `plan` cuts the inputs into units; `stages` says what is done with each; `crew`
sees that all of it is done, here or by others; `assemble` makes the finished units one folder,
which one rename puts in its place. What is done is kept in a folder beside that place until then.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dslm.data.manifest import FILE, Advance, Input
from dslm.data.publish import occupied, refuse
from dslm.data.read.inputs import common_folder, describe
from dslm.data.shard_set import ShardSet
from dslm.data.tokenizer import Tokenizer
from dslm.data.work.assemble import assemble, gather_rejects
from dslm.data.work.crew import WAIT, Member, Stage
from dslm.data.work.folder import Done, WorkFolder
from dslm.data.work.plan import Sharding, Unit, plan
from dslm.data.work.rejects import check_broken
from dslm.data.work.stages import Clean, Decide, Write
from dslm.data.workers import Workers
from dslm.errors import DataError, DslmError, Problem, SetupError

MAX_BAD = 100
"""Broken records to let pass unless a user says otherwise."""


@dataclass(frozen=True)
class Running:
    """How the work is done; none of this changes the shards."""

    workers: int = 1
    """Processes to work in."""
    member: Member = field(default_factory=Member)
    """This process among others that were started for the same output."""
    max_bad: int = MAX_BAD
    """Broken records after which to stop."""
    rejects: Path | None = None
    """The file for records that were left out, or `None`."""
    progress: Advance | None = None
    """Told the bytes of text dealt with since the last call; see `Sharding.passes`."""


def shard(
    paths: Sequence[Path], output: Path, sharding: Sharding, running: Running | None = None
) -> tuple[ShardSet, bool]:
    """Make a shard set, or find that it is already there.

    Args:
        paths: files from `read.inputs.expand`.
        output: the folder to make.
        sharding: the tokenizer and what decides the content.
        running: what does not.

    Returns:
        The shard set, and whether it was made now.

    Raises:
        DataError: a text or the tokenizer cannot be used, the text is empty, or `output` holds
            something else.
        SetupError: the disk is full, or a worker was killed.
    """
    running = running or Running()
    tokenizer = Tokenizer.load(sharding.tokenizer)
    folder = WorkFolder.beside(output)
    made = False
    if not occupied(output):
        try:
            _make(paths, output, sharding, running, tokenizer, folder)
            made = True
        except (DataError, OSError) as error:
            if not occupied(output):  # or else others have made it, and cleaned up under our feet
                raise _told(error, output) from None
    shards = ShardSet.open(output) if made else _existing(paths, output, sharding, tokenizer)
    folder.remove()  # left over when its process ended between publishing and cleaning up
    return shards, made


def _make(
    paths: Sequence[Path],
    output: Path,
    sharding: Sharding,
    running: Running,
    tokenizer: Tokenizer,
    folder: WorkFolder,
) -> None:
    units = plan(paths, sharding)
    base = common_folder(paths)
    names = tuple(path.resolve().relative_to(base).as_posix() for path in paths)
    since = folder.begin(_fingerprint(paths, names, sharding, tokenizer, running))
    aside = running.rejects is not None
    shared = (folder, sharding, tokenizer.sha256, names, base, running.max_bad, aside)

    def there() -> bool:
        return (output / FILE).exists()

    def ended() -> bool:
        return there() or not folder.path.exists()

    with Workers(running.workers) as workers:

        def finish(name: str, work: Clean | Decide | Write, units: Sequence[Unit]) -> list[Done]:
            stage = Stage(name, folder, work, running.member, since)
            return stage.finish(units, workers, running.progress, ended)

        cleaned: list[Done] = []
        if sharding.duplicates.any:
            cleaned = finish("clean", Clean(*shared), units)
            finish("decide", Decide(*shared, len(units)), [Unit(0, (), sum(u.size for u in units))])
        written = finish("write", Write(*shared), units)
    while not ended():
        with folder.lock("publish", 0) as free:
            if free and not ended():
                _publish(output, folder, cleaned, written, tokenizer, sharding, running)
        if not ended():
            time.sleep(WAIT)
    if not there():
        rule, fix = "was removed by another process", "see what that told, or repeat the command"
        raise DataError(Problem(str(folder.path), None, rule, fix))


def _told(error: DataError | OSError, output: Path) -> DslmError:
    if isinstance(error, DataError):
        return error
    reason = error.strerror or str(error)
    fix = "free some space and repeat the command: what is done is kept"
    return SetupError(Problem(str(output), None, f"cannot be written: {reason}", fix))


def _publish(
    output: Path,
    folder: WorkFolder,
    cleaned: list[Done],
    written: list[Done],
    tokenizer: Tokenizer,
    sharding: Sharding,
    running: Running,
) -> None:
    """Put the set in its place and clean up."""
    records = [*cleaned, *written]
    examples = [example for done in records for example in done.tally.examples]
    broken = sum(sum(done.tally.broken.values()) for done in records)
    check_broken(broken, examples, running.max_bad)
    if not any(done.tally.tokens for done in written):
        reasons = {reason for done in records for reason in done.tally.left_out}
        told = f"; all of it was left out: {', '.join(sorted(reasons))}" if reasons else ""
        folder.remove()
        raise DataError(Problem("--input", None, f"holds no text to tokenize{told}"))
    if running.rejects is not None:
        gather_rejects(folder, records, running.rejects)
    assemble(folder, cleaned, written, tokenizer, sharding.settings()).replace(output)
    folder.remove()


def _fingerprint(
    paths: Sequence[Path],
    names: Sequence[str],
    sharding: Sharding,
    tokenizer: Tokenizer,
    running: Running,
) -> dict[str, Any]:
    """What must be the same when unfinished work is taken up again."""
    states = [path.stat() for path in paths]
    return {
        "inputs": [
            [name, state.st_size, state.st_mtime_ns]
            for name, state in zip(names, states, strict=True)
        ],
        "tokenizer": tokenizer.sha256,
        "settings": sharding.settings(),
        "rejects": running.rejects is not None,
    }


def _existing(
    paths: Sequence[Path], output: Path, sharding: Sharding, tokenizer: Tokenizer
) -> ShardSet:
    """The shard set that is already there, when it is the one asked for."""
    if not (output / FILE).is_file():
        raise refuse(output, "holds something else")
    shards = ShardSet.open(output)
    there = shards.manifest
    wanted = (tokenizer.sha256, sharding.settings())
    same = (there.tokenizer_sha256, there.settings) == wanted
    if not same or there.inputs != _described(paths):
        raise refuse(output, "holds a shard set made from other text or with other settings")
    return shards


def _described(paths: Sequence[Path]) -> tuple[Input, ...]:
    folder = common_folder(paths)
    return tuple(describe(path, folder) for path in paths)
