"""What to type next: commands with the user's own words, of folders and files that are there."""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from dslm.shards.manifest import FILE

ROLES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "heldout": "validation",
    "holdout": "validation",
    "test": "test",
    "testing": "test",
}
"""What text is for, by a word in the name of its file or folder."""
WORD = re.compile(r"[^\W_]+")
LAUNCH = "deepspeed launch/pretrain.py tiny --deepspeed_config ds_configs/zero1_fp32.json"
RUN = "runs/a"


def folded(inputs: Sequence[str]) -> list[str]:
    """Names of files as one pattern, where a shell has made them of it.

    >>> folded(["no/such/a.txt", "no/such/b.txt"])
    ['no/such/a.txt', 'no/such/b.txt']
    """
    folders = {os.path.dirname(name) for name in inputs}
    if len(inputs) < 2 or len(folders) > 1:
        return [*inputs]
    folder, names = folders.pop(), [os.path.basename(name) for name in inputs]
    begin = _common(names)
    end = _common([name[::-1] for name in names])[::-1]
    suffix = end[end.find(".") :] if "." in end else ""
    for pattern in (f"*{suffix}", f"{begin}*{suffix}", f"{begin}*{end}"):
        path = os.path.join(glob.escape(folder), pattern)
        if sorted(glob.glob(path)) == sorted(inputs):
            return [path]
    return [*inputs]


def _common(names: Sequence[str]) -> str:
    """The letters with which all names begin."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def role(name: str) -> tuple[str, str]:
    """What text of some name is for, and the name without the word that says so.

    >>> role("news-train")
    ('train', 'news-')
    """
    for word in WORD.finditer(name):
        if found := ROLES.get(word[0].lower()):
            return found, name[: word.start()] + name[word.end() :]
    return "", name


def siblings(folder: Path) -> dict[str, Path]:
    """Shard sets by what they are for: one, and those beside it that are named after others."""
    own, rest = role(folder.name)
    found = {own or "train": folder}
    if own:
        for other in sorted(folder.absolute().parent.iterdir()):
            use, others_rest = role(other.name)
            if use not in ("", own) and others_rest == rest and (other / FILE).is_file():
                found.setdefault(use, folder.parent / other.name)
    return found


def of_split(output: Path, names: Sequence[str]) -> dict[str, Path]:
    """The sets of a split by what they are for; the first one is trained on if no name says so."""
    found = {use: output / name for name in names if (use := role(name)[0])}
    if "train" not in found:
        unnamed = [name for name in names if not role(name)[0]]
        found |= {"train": output / unnamed[0]} if unnamed else {}
    return found


def after_sharding(sets: Mapping[str, Path]) -> list[str]:
    """What is done with shard sets, by what they are for: no model is trained on held-out text."""
    if "train" not in sets:
        return []
    keys = [f"data.{use}={sets[use]}" for use in ("train", "validation") if use in sets]
    lines = [f"{LAUNCH} {shlex.join([*keys, f'run={RUN}'])}"]
    if "test" in sets:
        lines.append(f"python launch/evaluate.py {RUN} --data {shlex.quote(str(sets['test']))}")
    return lines


def by_role(pattern: str) -> dict[str, str]:
    """Patterns of files that are there by what they are for: ``train*.txt`` and its siblings."""
    own, _ = role(os.path.basename(pattern))
    if not own:
        return {}
    folder, name = os.path.split(pattern)
    word = next(word for word in WORD.finditer(name) if word[0].lower() in ROLES)
    found = {}
    for use in ("train", "validation", "test"):
        other = name[: word.start()] + use + name[word.end() :]
        path = os.path.join(folder, name if use == own else other)
        if use == own or glob.glob(path, recursive=True):
            found[use] = path
    return found
