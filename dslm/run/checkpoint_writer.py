"""Writes a checkpoint, so that it is whole or not there.

Every rank writes some of the layers it holds, into a hidden folder; when all have, the first rank
writes the manifest and publishes the folder by one rename.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dslm.files.fingerprint import file_sha256
from dslm.files.whole import write_json
from dslm.run.checkpoint import FORMAT, checkpoint_folder
from dslm.run.tensor_file import write_tensors
from dslm.run.versions import versions


class Writer:
    """Writes one checkpoint; all ranks go through the same calls.

    Args:
        root: the run's folder of checkpoints.
        step: the step that has been made.
    """

    def __init__(self, root: Path, step: int) -> None:
        self.final = checkpoint_folder(root, step)
        self.partial = self.final.with_name(f".{self.final.name}.partial")

    def begin(self, size: float = 0) -> None:
        """Make the hidden folder; the first rank only.

        Args:
            size: bytes that the checkpoint will take, about.

        Raises:
            OSError: there is less space than that, or nothing can be written there.
        """
        self.remove()
        self.partial.mkdir(parents=True)
        if (free := shutil.disk_usage(self.partial).free) < size:
            needed = f"a checkpoint takes {size / 2**30:.2f} GiB, {free / 2**30:.2f} are free"
            raise OSError(errno.ENOSPC, needed)

    def remove(self) -> None:
        """Remove the hidden folder, as far as that is possible; the first rank only."""
        shutil.rmtree(self.partial, ignore_errors=True)

    def write(self, name: str, tensors: Mapping[str, Any]) -> tuple[int, str]:
        """Write one file of tensors; returns its bytes and sha256.

        Raises:
            OSError: most often because the disk is full.
        """
        whole = {key: tensor.detach().float().cpu().numpy() for key, tensor in tensors.items()}
        return write_tensors(self.partial / name, whole)

    def publish(
        self,
        files: Mapping[str, tuple[int, str]],
        state: Mapping[str, Any],
        record: Mapping[str, Any] | None = None,
        layout: Mapping[str, Any] | None = None,
    ) -> None:
        """Write state and manifest and show the checkpoint; the first rank only.

        Args:
            files: what all ranks have written, with bytes and sha256.
            state: the numbers of the checkpoint.
            record: what ``run.json`` holds, of which a copy is kept in case it is lost.
            layout: the ranks and what each did, if it was trained.
        """
        own = {"state.json": {"format": FORMAT, **state}}
        if record is not None:
            own["run.json"] = dict(record)
        known = dict(files)
        for name, content in own.items():
            path = self.partial / name
            write_json(path, content)
            known[name] = path.stat().st_size, file_sha256(path)
        listed = {name: {"bytes": b, "sha256": s} for name, (b, s) in sorted(known.items())}
        about = {"layout": dict(layout or {}), "versions": versions()}
        write_json(self.partial / "manifest.json", {"format": FORMAT, **about, "files": listed})
        shutil.rmtree(self.final, ignore_errors=True)
        sync_folder(self.partial)
        self.partial.rename(self.final)
        sync_folder(self.final.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the file system can tell."""
    number = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(number)
    os.close(number)
