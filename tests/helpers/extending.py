"""The changes shown in docs/extending.md, applied to a copy of the library.

Under each heading stand blocks with a title: ``python title="dslm/…"`` is a new file, ``diff`` adds
lines to one that is there, ``python title="check"`` is what the change makes possible.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from helpers.paths import ROOT

PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(r'```(python|diff) title="([^"]+)"\n(.*?)```', re.DOTALL)


@dataclass
class Change:
    """One section of the page."""

    files: dict[str, str] = field(default_factory=dict)
    """New files."""
    diffs: list[tuple[str, str]] = field(default_factory=list)
    """Files that are there, each with the lines to find and those to add behind a plus sign."""
    check: str = ""
    """A program that ends with an error unless the change works."""

    @property
    def added(self) -> list[str]:
        """The lines added to files that are there."""
        lines = [line for _, diff in self.diffs for line in diff.splitlines()]
        return [line[1:] for line in lines if line.startswith("+")]


def changes() -> dict[str, Change]:
    """Each section of the page by its heading."""
    found: dict[str, Change] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        change = found[section.partition("\n")[0]] = Change()
        for kind, title, content in BLOCK.findall(section):
            if kind == "diff":
                change.diffs.append((title, content))
            elif title == "check":
                change.check = content
            else:
                change.files[title] = content
    return found


def applied(change: Change, folder: Path) -> Path:
    """A copy of the library with a change; returns the folder it lies in."""
    shutil.copytree(ROOT / "dslm", folder / "dslm", ignore=shutil.ignore_patterns("__pycache__"))
    add(change, folder)
    return folder


def add(change: Change, folder: Path) -> None:
    """Make a change in a copy of the library."""
    for name, content in change.files.items():
        assert not (folder / name).exists(), f"{name} is no new file"
        (folder / name).write_text(content, encoding="utf-8")
    for name, diff in change.diffs:
        lines = diff.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] == " ")
        after = "".join(line[1:] for line in lines)
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name} does not have these lines once:\n{before}"
        (folder / name).write_text(text.replace(before, after), encoding="utf-8")


def ran(library: Path, *words: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
    """Python started with the copy in place of the library."""
    environment = {**os.environ, "PYTHONPATH": str(library), "DS_ACCELERATOR": "cpu"}
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        cwd=library,
    )
