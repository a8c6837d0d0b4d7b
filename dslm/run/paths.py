"""The paths among the settings, as they are typed: ``~``, lists, patterns, stray quotes.

What has one meaning is understood; a path that a shell or another program has spoilt is a mistake.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dslm.config.likely import word
from dslm.config.overrides import merge
from dslm.errors import ConfigError, Problem, Problems
from dslm.shards.manifest import FILE

SINGLE = ("run", "init_from", "word_vectors", "data.validation")
"""Keys that hold one path."""
SEVERAL = "data.train"
"""The key that may hold several, with their weights or without."""
VARIABLE = re.compile(r"\$\{?\w+")
ADDRESS = re.compile(r"\w[\w+]*://")
HELD_OUT = re.compile(
    r"(val|valid|validation|test|dev|eval|evaluation|held|heldout|holdout)(?![^\W\d_])", re.I
)
"""With which word the names of sets begin that are not trained on: ``val-2``, not ``values``."""
BRACES = re.compile(r"([^{},]*[^{},\s])\{([^{}]+,[^{}]*)\}([^{},]*)")
"""What a shell makes several words of, unless it is quoted."""
LONGEST = 255
"""Bytes that the name of a file may have."""
WEIGHTED = re.compile(r"(.+?)['\"]?\s*[:=]\s*(\d*\.?\d+)")


def with_paths(values: dict[str, Any]) -> dict[str, Any]:
    """Settings of one layer with their paths as they are meant.

    Args:
        values: nested; what is no path there is left for others to find.

    Raises:
        ConfigError: with every path that means nothing.
    """
    found, made = Problems(), values
    data = values.get("data")
    inner = data if isinstance(data, Mapping) else {}
    for key in SINGLE:
        block, _, leaf = key.rpartition(".")
        text = (inner if block else values).get(leaf)
        if isinstance(text, list) and len(text) == 1:
            text = text[0]
        if isinstance(text, list) and text and isinstance(text[0], str):
            found.problems.append(Problem(key, text, "is one path", f"write {word(key, text[0])}"))
        if isinstance(text, str) and (path := found.collect(understood, key, text)) is not None:
            made = merge(made, {"data": {leaf: path}} if block else {leaf: path})
    if (train := found.collect(_several, inner.get("train"))) is not None:
        made = {**made, "data": {**made["data"], "train": train}}
    if found.problems:
        raise ConfigError(*found.problems)
    return made


def understood(key: str, text: str) -> str:
    """One path as it is meant.

    Args:
        key: whose it is.
        text: as it was typed.

    Raises:
        ConfigError: it means nothing.
    """
    bare = text if _exists(text) else text.strip("\"' ")
    path = str(Path(bare).expanduser()) if _of_a_user(bare) else bare
    without = (
        f"write {key}=FOLDER" if key in ("run", SEVERAL) else f"write {key}=null, or leave it out"
    )
    address = "is an address: only files of this machine are read and written"
    for is_wrong, rule, fix in (
        (not path, "names nothing", f"write {key}=FOLDER"),
        (path in ("None", "null"), "is no path", without),
        (path.startswith("~"), "is the home of a user who does not exist", f"write {key}=./{path}"),
        (VARIABLE.search(path), "holds a variable that no shell has replaced",
         "write it without single quotes"),
        (ADDRESS.match(path), address, f"copy it here, and write {key}=FOLDER"),
        (any(len(part.encode()) > LONGEST for part in Path(path).parts), "has too long a name",
         f"write {key}=…, {LONGEST} bytes at most"),
    ):  # fmt: skip
        if is_wrong and not (path and _exists(path)):
            raise ConfigError(Problem(key, text, rule, fix))
    return path


def is_held_out(folder: str | Path) -> bool:
    """Whether the name of a shard set says that it is not trained on."""
    return HELD_OUT.match(Path(folder).name) is not None


def _exists(path: str) -> bool:
    """Whether something is there; not where the name is too long for a file."""
    try:
        return Path(path).exists()
    except OSError:
        return False


def _of_a_user(text: str) -> bool:
    """Whether a path begins with the home of a user who exists."""
    try:
        return text.startswith("~") and bool(Path(text).expanduser())
    except RuntimeError:
        return False


def _several(value: Any) -> Any:
    """The paths of `SEVERAL`: one, a list, or each with its weight."""
    read = _read(value) if isinstance(value, str) else value
    found = Problems()
    if isinstance(value, str) and isinstance(read, list) and set("*?[") & set(value.strip("[")):
        found.collect(_without_held_out, value, read)
    made: Any = read
    if isinstance(read, str):
        made = found.collect(understood, SEVERAL, read)
    elif isinstance(read, list) and all(isinstance(one, str) for one in read):
        made = [found.collect(understood, SEVERAL, one) for one in read]
    elif isinstance(read, Mapping):
        sets = [found.collect(understood, SEVERAL, one) for one in read]
        pairs = zip(sets, read.values(), strict=True)
        made = found.collect(_weighted, [(one, weight) for one, weight in pairs if one])
    if found.problems:
        raise ConfigError(*found.problems)
    return made


def _read(text: str) -> str | list[str] | dict[str, float]:
    """What one text says: a path, or several in the form of another language or of the shell."""
    text = text.strip()
    if _exists(str(Path(text).expanduser()) if _of_a_user(text) else text):
        return text
    if braces := BRACES.fullmatch(text):
        before, choice, behind = braces.groups()
        return [f"{before}{one.strip()}{behind}" for one in choice.split(",")]
    if text[:1] in "[{(":
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            value = None
        if isinstance(value, dict):
            return {str(name): weight for name, weight in value.items()}
        if isinstance(value, list | tuple):
            return [str(name) for name in value]
    pieces = [piece for piece in re.split(r"\s*,\s*|\s+", text.strip("[](){}")) if piece]
    weighted = [WEIGHTED.fullmatch(piece.strip("\"'")) for piece in pieces]
    if len(pieces) > 1 and all(weighted):
        return _weighted((one[1].strip("\"'"), float(one[2])) for one in weighted if one)
    if len(pieces) > 1 and ("," in text or all(_exists(f"{one}/{FILE}") for one in pieces)):
        return pieces
    if text[:1] + text[-1:] in ("[]", "()"):  # whose quotes a shell has taken
        return pieces
    matching = list(_matching(text))
    return matching if len(matching) > 1 else (matching or [text])[0]


def _weighted(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Sets with their weights.

    Raises:
        ConfigError: a set has more than one.
    """
    weights: dict[str, Any] = {}
    for one, weight in pairs:
        if one in weights:
            rule = f"has two weights, {weights[one]} and {weight}"
            raise ConfigError(Problem(SEVERAL, one, rule, "keep one of the two"))
        weights[one] = weight
    return weights


def _without_held_out(pattern: str, sets: Sequence[str]) -> None:
    """Refuse a pattern that names sets for training and sets that are held out.

    Raises:
        ConfigError: it does.
    """
    held_out = [one for one in sets if is_held_out(one)]
    rest = [one for one in sets if one not in held_out]
    if held_out and rest:
        rule = f"names {' and '.join(held_out)} too"
        train = word(SEVERAL, rest if len(rest) > 1 else rest[0])
        fix = f"write {train} {word('data.validation', held_out[0])}, or list them all"
        raise ConfigError(Problem(SEVERAL, pattern, rule, fix))


def _matching(pattern: str) -> Iterator[str]:
    """The shard sets whose folders a pattern of the shell names."""
    path = Path(pattern.strip("\"'"))
    path = path.expanduser() if _of_a_user(str(path)) else path
    if not set("*?[") & set(str(path)):
        return
    root = Path(path.anchor)
    for folder in sorted(root.glob(str(path.relative_to(root)))):
        if (folder / FILE).is_file():
            yield str(folder)
