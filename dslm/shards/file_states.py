"""Whether the files of a shard set are still those that were opened.

Size, times and inode of each are noted; where one is another, the checksum decides, so that a file
that was only touched, or copied back, is no mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dslm.errors import Problem
from dslm.files.fingerprint import Expected
from dslm.shards.manifest import FILE
from dslm.shards.shard_file import REPAIR

State = tuple[int, int, int, int]
"""Bytes, when the contents and when anything of the file was changed, and its inode."""


class FileStates:
    """The states of some files.

    Args:
        files: what they should be.
    """

    def __init__(self, files: Sequence[Expected]) -> None:
        self.files = files
        self._known: dict[Path, State] = {}
        self._missing: set[Path] = set()

    def check_sizes(self) -> list[Problem]:
        """Note the state of each file; a problem for each that is missing or of a wrong size."""
        problems = []
        for file in self.files:
            found = _state(file.path)
            if found is None:
                problems.append(Problem(str(file.path), None, "no such file", REPAIR))
            elif found[0] != file.bytes:
                rule = f"{found[0]} bytes where {FILE} says {file.bytes}"
                problems.append(Problem(str(file.path), None, rule, REPAIR))
            else:
                self._known[file.path] = found
        return problems

    def changed(self) -> list[Problem]:
        """A problem for each file that has other contents than when its state was noted.

        A file that is gone is none: one that is open can still be read. See `missing`.
        """
        problems = []
        for file in self.files:
            now = _state(file.path)
            if now is None or now == self._known.get(file.path):
                continue
            if now[0] == file.bytes and file.whole():
                self._known[file.path] = now
                continue
            what = "overwritten" if now[0] == file.bytes else f"made {now[0]:,} bytes long"
            rule = f"has been {what} since it was opened"
            problems.append(Problem(str(file.path), None, rule, REPAIR))
        return problems

    def missing(self) -> list[Path]:
        """The files that have gone since the last call."""
        gone = {file.path for file in self.files if not file.path.exists()}
        new, self._missing = gone - self._missing, gone
        return sorted(new)


def _state(path: Path) -> State | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
