"""Taking a document out of a finished shard set: the text is gone, and the manifest says so.

The shard that holds it is written again without it, under another name; then the manifest changes
over to the new file in one move; then the old file goes. Killed anywhere on the way, the set is
whole, either with the document or without it; the same command again removes what was left over.
Two at once take turns, and each begins with what the other has left.
"""

from __future__ import annotations

import fcntl
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dslm.errors import DataError, Problem, SetupError
from dslm.files.fingerprint import file_sha256
from dslm.progress import Advance
from dslm.shards.datasets_files import write_datasets_files
from dslm.shards.manifest import Manifest, RemovedDocument, Shard
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import Statistics, TextVolume
from dslm.shards.writer import describe_batches

LOCK = ".lock"
"""The file by which processes that change a set take turns; it stays where it is."""


def remove(
    shards: ShardSet, hashes: set[str], progress: Advance | None = None
) -> list[RemovedDocument]:
    """Take documents out of a shard set.

    Args:
        shards: the set; open it again afterwards.
        hashes: sha256 of the documents' texts, as in `Provenance`.
        progress: called with the bytes of shards read since the last call.

    Returns:
        What was taken out now, one entry for each copy of a text; none for what was taken out
        before.

    Raises:
        DataError: a hash is none or was never in the set, or nothing would be left.
        SetupError: the file system has no locks, or may not be written.
    """
    if bad := sorted(one for one in hashes if not re.fullmatch("[0-9a-f]{64}", one)):
        raise DataError(*(Problem("--sha256", one, "is not 64 hexadecimal digits") for one in bad))
    with _alone(shards.folder):
        return _remove(ShardSet.open(shards.folder), hashes, progress)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process changes the set, and keep others from it."""
    try:
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise SetupError(
            Problem(str(folder), None, f"cannot be changed: {error.strerror}")
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            rule = f"cannot be locked ({error.strerror}), and two removals at once could lose one"
            fix = "work on a copy in a file system with locks"
            raise SetupError(Problem(str(folder), None, rule, fix)) from None
        yield


def _remove(shards: ShardSet, hashes: set[str], progress: Advance | None) -> list[RemovedDocument]:
    wanted = {bytes.fromhex(one) for one in hashes}
    manifest, statistics = shards.manifest, replace(shards.manifest.statistics)
    found, removed = list[Matches](), list[RemovedDocument]()
    for shard in manifest.shards:
        found.append(_find(shards.folder / shard.file, wanted))
        removed += _account(shard, found[-1], statistics)
        if progress:
            progress(shard.bytes)
    if missing := hashes - {one.sha256 for one in (*removed, *manifest.removed)}:
        rule, fix = "no document of the set has this hash", "see dslm data show"
        raise DataError(*(Problem("--sha256", one, rule, fix) for one in sorted(missing)))
    if not statistics.documents:
        raise DataError(Problem(str(shards.folder), None, "nothing would be left: remove it whole"))
    _remove_strays(shards.folder, manifest.shards)
    if removed:
        pairs = zip(manifest.shards, found, strict=True)
        kept = [rest for shard, rows in pairs for rest in _without(shards.folder, shard, rows)]
        _publish(shards, kept, statistics, removed)
    return removed


Matches = dict[int, list[dict[str, Any]]]
"""For each record batch the facts of the rows to take out, with their numbers as ``row``."""


def _find(path: Path, wanted: set[bytes]) -> Matches:
    import pyarrow
    import pyarrow.compute as pc

    found: Matches = {}
    with pyarrow.memory_map(str(path)) as source:
        for number, batch in enumerate(pyarrow.ipc.open_stream(source)):
            hit = pc.is_in(batch.column("sha256"), pyarrow.array(sorted(wanted), pyarrow.binary()))
            for row in np.flatnonzero(np.asarray(hit)).tolist():
                facts = batch.slice(row, 1).drop_columns(["tokens", "sentences"]).to_pylist()[0]
                sizes = {
                    name: len(batch.column(name)[row].values or ())
                    for name in ("tokens", "sentences")
                }
                found.setdefault(number, []).append({**facts, **sizes, "row": row})
    return found


def _without(folder: Path, shard: Shard, found: Matches) -> list[Shard]:
    """The shard written again without some rows; none when no row is left."""
    if not found:
        return [shard]
    import pyarrow

    path = folder / _next_name(shard.file)
    documents = tokens = 0
    with (
        pyarrow.memory_map(str(folder / shard.file)) as source,
        pyarrow.ipc.open_stream(source) as stream,
        pyarrow.OSFile(str(path), "wb") as sink,
        pyarrow.ipc.new_stream(sink, stream.schema) as target,
    ):
        for number, batch in enumerate(stream):
            keep = np.ones(batch.num_rows, dtype=bool)
            keep[[facts["row"] for facts in found.get(number, [])]] = False
            rest = batch.filter(pyarrow.array(keep)) if not keep.all() else batch
            if rest.num_rows:
                target.write_batch(rest)
                documents += rest.num_rows
                tokens += len(rest.column("tokens").flatten())
    if not documents:
        path.unlink()
        return []
    return [
        Shard(
            file=path.name,
            bytes=path.stat().st_size,
            sha256=file_sha256(path),
            documents=documents,
            tokens=tokens,
            batches=describe_batches(path),
        )
    ]


def _next_name(name: str) -> str:
    """``shard-00001.arrow`` → ``shard-00001.1.arrow`` → ``shard-00001.2.arrow``."""
    stem, *times = name.removesuffix(".arrow").split(".")
    return f"{stem}.{int(times[0]) + 1 if times else 1}.arrow"


def _account(shard: Shard, found: Matches, statistics: Statistics) -> list[RemovedDocument]:
    """Take documents out of the counts."""
    removed = []
    languages, lengths = dict(statistics.languages), list(statistics.lengths)
    for facts in (facts for rows in found.values() for facts in rows):
        tokens, text_bytes = facts["tokens"], facts["text_bytes"]
        statistics.documents -= 1
        statistics.tokens -= tokens
        statistics.text_bytes -= text_bytes
        statistics.sentences -= facts["sentences"]
        lengths[max(tokens, 1).bit_length() - 1] -= 1
        if (name := facts["language"]) in languages:
            old = languages[name]
            languages[name] = TextVolume(
                old.documents - 1, old.tokens - tokens, old.text_bytes - text_bytes
            )
        removed.append(
            RemovedDocument(sha256=facts["sha256"].hex(), tokens=tokens, shard=shard.file)
        )
    statistics.languages, statistics.lengths = languages, lengths
    if removed:
        statistics.left_out = dict(Counter(statistics.left_out) + Counter(removed=len(removed)))
    return removed


def _publish(
    shards: ShardSet, kept: list[Shard], statistics: Statistics, removed: list[RemovedDocument]
) -> None:
    old: Manifest = shards.manifest
    new = replace(old, shards=tuple(kept), statistics=statistics, removed=(*old.removed, *removed))
    write_datasets_files(shards.folder, new)
    new.save(shards.folder)
    _remove_strays(shards.folder, kept)


def _remove_strays(folder: Path, shards: Iterable[Shard]) -> None:
    """Remove the shards that the manifest does not name, now or since somebody was killed here."""
    named = {shard.file for shard in shards}
    for path in folder.glob("shard-*.arrow"):
        if path.name not in named:
            path.unlink()
