"""Many files of text in, one shard set out, on as many cores as one likes.

The way of a file: `plan` puts it into a unit of work, alone or with its neighbours; a worker
tokenizes the unit into shards of its own; when all are done, the shards are numbered in the order
of the files, the manifest is written and the folder is published. Units depend on the files and the
shard size alone, so the result is the same for any number of workers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dslm.data.manifest import FILE, Advance, Input, Manifest, Reading, Shard
from dslm.data.publish import occupied, published, refuse
from dslm.data.readers import Meter, Tally, common_folder, describe, documents, text_size
from dslm.data.shard_set import ShardSet
from dslm.data.tokenizer import CARD, MODEL, Tokenizer, Tokens
from dslm.data.workers import each
from dslm.data.writer import ShardWriter
from dslm.errors import DataError, Problem

SHARD_SIZE = 256_000_000
UNITS = 64
"""Units of work that some text is cut into at least, so that many workers have something to do…"""
SMALLEST_UNIT = 16_000_000
"""… unless they would hold less text than this, which makes too many small files."""


@dataclass(frozen=True)
class Sharding:
    """What a user chose, and the tokenizer."""

    tokenizer: Path
    """The tokenizer's folder."""
    shard_size: int = SHARD_SIZE
    """Bytes of tokens after which a shard is closed."""
    reading: Reading = field(default_factory=Reading)
    """How to read the files."""


@dataclass(frozen=True)
class Unit:
    """Files that one worker turns into shards of their own."""

    number: int
    paths: tuple[Path, ...]
    inputs_folder: Path
    """The folder that the names of inputs are relative to."""
    output: Path
    sharding: Sharding


@dataclass
class Part:
    """What became of a unit."""

    shards: list[Shard] = field(default_factory=list)
    inputs: tuple[Input, ...] = ()
    tally: Tally = field(default_factory=Tally)
    text_bytes: int = 0
    maximum_token: int = 0


def shard(
    paths: Sequence[Path],
    output: Path,
    sharding: Sharding,
    workers: int = 1,
    progress: Advance | None = None,
) -> tuple[ShardSet, bool]:
    """Make a shard set, or find that it is already there.

    Args:
        paths: files from `readers.expand`.
        output: the folder to make.
        sharding: the tokenizer and what the user chose.
        workers: processes to work in.
        progress: called with the number of bytes of text tokenized since the last call.

    Returns:
        The shard set, and whether it was made now.

    Raises:
        DataError: a text or the tokenizer cannot be used, the text is empty, or `output` holds
            something else.
        SetupError: the disk is full, or a worker was killed.
    """
    tokenizer = Tokenizer.load(sharding.tokenizer)
    if occupied(output):
        return _existing(paths, output, sharding, tokenizer), False
    with published(output) as folder:
        units = plan(paths, folder, sharding)
        parts = each(tokenize, units, workers, progress)
        manifest = _manifest(_numbered(parts, folder), parts, sharding, tokenizer)
        if not manifest.tokens:
            raise DataError(_no_text(paths))
        _copy_tokenizer(sharding.tokenizer, folder / "tokenizer")
        _write_datasets_files(folder, manifest)
        manifest.save(folder)
    return ShardSet.open(output), True


def plan(paths: Sequence[Path], output: Path, sharding: Sharding) -> list[Unit]:
    """Group neighbouring files into units of work."""
    total = sum(map(text_size, paths))
    most = min(sharding.shard_size, max(total // UNITS, SMALLEST_UNIT))
    groups: list[list[Path]] = []
    room = 0
    for path in paths:
        room -= text_size(path)
        if room < 0 or not groups:
            groups.append([])
            room = most - text_size(path)
        groups[-1].append(path)
    folder = common_folder(paths)
    return [Unit(n, tuple(group), folder, output, sharding) for n, group in enumerate(groups)]


def tokenize(unit: Unit, advance: Advance | None) -> Part:
    """Do one unit of work: its files into shards ``unit-…`` of the output folder."""
    part = Part(inputs=describe(unit.paths, unit.inputs_folder))
    tokenizer = Tokenizer.load(unit.sharding.tokenizer)
    rows = _rows(unit, tokenizer, part, advance)
    for number, first in enumerate(rows):
        name = f"unit-{unit.number:05d}-{number:05d}.arrow"
        with ShardWriter(unit.output / name, tokenizer.dtype) as writer:
            row: Tokens | None = first
            while row is not None:
                writer.add(row)
                row = next(rows, None) if writer.bytes < unit.sharding.shard_size else None
            part.shards.append(writer.finish())
    return part


def _rows(
    unit: Unit, tokenizer: Tokenizer, part: Part, advance: Advance | None
) -> Iterator[Tokens]:
    """The token ids of each document of a unit, its end included; counted in `part`."""
    end = [] if tokenizer.end_of_document is None else [tokenizer.end_of_document]
    ending = np.array(end, dtype=tokenizer.dtype)
    for path in unit.paths:
        meter = Meter(path, advance)
        for text in documents(path, unit.sharding.reading, part.tally):
            row = np.concatenate([_encoded(text, path, tokenizer, meter), ending])
            part.text_bytes += len(text.encode())
            part.maximum_token = max(part.maximum_token, int(row.max()))
            yield row
        meter.finish()


def _encoded(text: str, path: Path, tokenizer: Tokenizer, meter: Meter) -> Tokens:
    try:
        return tokenizer.encode([text], meter)[0]
    except DataError as error:
        problems = [replace(p, where=f"{path}: {p.where}") for p in error.problems]
        raise DataError(*problems) from None


def _numbered(parts: Sequence[Part], folder: Path) -> tuple[Shard, ...]:
    """Give the shards of all units their final names."""
    shards = [shard for part in parts for shard in part.shards]
    named = []
    for number, shard in enumerate(shards):
        name = f"shard-{number:05d}.arrow"
        (folder / shard.file).rename(folder / name)
        named.append(replace(shard, file=name))
    return tuple(named)


def _manifest(
    shards: tuple[Shard, ...], parts: Sequence[Part], sharding: Sharding, tokenizer: Tokenizer
) -> Manifest:
    return Manifest(
        format=1,
        dtype="uint16" if tokenizer.dtype.itemsize == 2 else "uint32",
        vocabulary=tokenizer.vocabulary,
        maximum_token=max(part.maximum_token for part in parts),
        tokenizer_sha256=tokenizer.sha256,
        documents=sum(shard.documents for shard in shards),
        tokens=sum(shard.tokens for shard in shards),
        text_bytes=sum(part.text_bytes for part in parts),
        replaced=sum(part.tally.replaced for part in parts),
        skipped=sum(part.tally.skipped for part in parts),
        empty=sum(part.tally.empty for part in parts),
        shard_size=sharding.shard_size,
        reading=sharding.reading,
        inputs=tuple(text for part in parts for text in part.inputs),
        shards=shards,
    )


def _existing(
    paths: Sequence[Path], output: Path, sharding: Sharding, tokenizer: Tokenizer
) -> ShardSet:
    """The shard set that is already there, when it is the one asked for."""
    if not (output / FILE).is_file():
        raise refuse(output, "holds something else")
    shards = ShardSet.open(output)
    there = shards.manifest
    wanted = (tokenizer.sha256, sharding.shard_size, sharding.reading)
    same = (there.tokenizer_sha256, there.shard_size, there.reading) == wanted
    if not same or there.inputs != describe(paths, common_folder(paths)):
        raise refuse(output, "holds a shard set made from other text or with other settings")
    return shards


def _copy_tokenizer(source: Path, target: Path) -> None:
    target.mkdir()
    for name in (CARD, MODEL):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _write_datasets_files(folder: Path, manifest: Manifest) -> None:
    """What `datasets.load_from_disk` wants to find beside the shards."""
    tokens = {"feature": {"dtype": manifest.dtype, "_type": "Value"}, "_type": "LargeList"}
    state: dict[str, object] = {
        "_data_files": [{"filename": shard.file} for shard in manifest.shards],
        "_fingerprint": ShardSet(folder, manifest).fingerprint[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "dataset_info.json").write_text(json.dumps({"features": {"tokens": tokens}}) + "\n")
    (folder / "state.json").write_text(json.dumps(state, indent=1) + "\n")


def _no_text(paths: Sequence[Path]) -> Problem:
    return Problem("--input", None, f"the {len(paths)} files hold no text to tokenize")
