"""The finished units as one shard set: shards numbered, manifest written, all published at once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dslm.errors import DataError, Problem
from dslm.files.fingerprint import file_sha256
from dslm.files.whole import appearing, beside
from dslm.preprocess.work.folder import UnitRecord, WorkFolder
from dslm.preprocess.work.versions import versions
from dslm.shards.datasets_files import write_datasets_files
from dslm.shards.manifest import Manifest, Shard
from dslm.shards.statistics import Statistics
from dslm.tokenizers.tokenizer import Tokenizer


@dataclass(frozen=True)
class Assembly:
    """What all sets that are made of some units have in common."""

    folder: WorkFolder
    """Where the units are."""
    records: Sequence[UnitRecord]
    """Those of cleaning, where that was a pass of its own, then those of writing."""
    tokenizer: Tokenizer
    """What made the tokens."""
    settings: dict[str, Any]
    """How the sets were made, for their manifests."""


def assemble(assembly: Assembly, names: Sequence[str]) -> Path:
    """Make the shard sets within the work folder, one rename away from being published.

    Where locks do not work, several processes may come here at once: each makes its own.

    Args:
        assembly: what they are made of.
        names: the sets, each in a folder of its name; one without a name is the folder itself.
    """
    target = beside(assembly.folder.path / "set")
    shutil.rmtree(target, ignore_errors=True)  # what a killed process left of it
    target.mkdir()
    for name in names:
        (target / name).mkdir(exist_ok=True)
        _assemble(assembly, name, target / name)
    return target


def _assemble(assembly: Assembly, name: str, target: Path) -> None:
    """Make one set in an empty folder."""
    tokenizer, sets = assembly.tokenizer, [done.of(name) for done in assembly.records]
    statistics = Statistics()
    for one in sets:
        statistics.add(one.statistics)
    shards = (shard for one in sets for shard in one.shards)
    manifest = Manifest(
        format=2,
        dtype="uint16" if tokenizer.dtype.itemsize == 2 else "uint32",
        vocabulary=tokenizer.vocabulary,
        tokenizer_sha256=tokenizer.sha256,
        begin=tokenizer.begin,
        statistics=statistics,
        settings=settings_of(assembly.settings, name),
        made_with=versions(),
        inputs=tuple(one for done in assembly.records for one in done.inputs),
        shards=_numbered(shards, assembly.folder, target),
    )
    tokenizer.save(target / "tokenizer")
    write_datasets_files(target, manifest)
    manifest.save(target)


def settings_of(settings: dict[str, Any], name: str) -> dict[str, Any]:
    """How a set was made, for its manifest; one of several names itself."""
    return {**settings, "set": name} if name else settings


def gather_rejects(folder: WorkFolder, records: Iterable[UnitRecord], target: Path) -> None:
    """Join what the units rejected into one file of JSON lines in gzip.

    Raises:
        DataError: there is another file.
    """
    names = [name for done in records for name in done.files if name.startswith(("left", "reject"))]
    target.parent.mkdir(parents=True, exist_ok=True)
    with appearing(target) as partial:
        with partial.open("wb") as joined:
            for name in names:
                with folder.file(name).open("rb") as part:
                    shutil.copyfileobj(part, joined)
        # The same bytes are those of another process, or of this one before it was killed.
        if target.exists() and file_sha256(target) != file_sha256(partial):
            rule, fix = "there is such a file already", "choose another name or remove it"
            raise DataError(Problem("--rejects", str(target), rule, fix))


def _numbered(shards: Iterable[Shard], folder: WorkFolder, target: Path) -> tuple[Shard, ...]:
    """Give the shards of all units their final names; the units keep theirs until the end."""
    named = []
    for number, shard in enumerate(shards):
        name = f"shard-{number:05d}.arrow"
        try:
            os.link(folder.file(shard.file), target / name)
        except OSError:  # a file system without links
            shutil.copyfile(folder.file(shard.file), target / name)
        named.append(replace(shard, file=name))
    return tuple(named)
