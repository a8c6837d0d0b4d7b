"""Files that are written whole or not at all, and JSON that is read strictly.

A file is written beside its target under a hidden name and moved there by one rename. When
something goes wrong on the way, the hidden one is removed and the target stays as it was.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dslm.config.repeated import load_json
from dslm.errors import ConfigError, Problem, suggest


def beside(path: Path) -> Path:
    """A hidden name next to a path that no other process uses, on this host or another."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A file that is whole or does not exist: write the one given; on leaving it becomes `path`.

    After an error nothing is left of it, and what was there before still is. Processes that write
    the same file at once do not meet: the last one to finish wins.
    """
    partial = beside(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def appearing_folder(path: Path) -> Iterator[Path]:
    """As `appearing`, for a folder that does not exist yet: make the one given."""
    partial = beside(path)
    try:
        yield partial
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; see `appearing`."""
    with appearing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON; see `write_text`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that a person may have written.

    Raises:
        ConfigError: there is no such file, or it is no JSON, no object, or gives a key twice.
    """
    try:
        values, twice = load_json(_read(path), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}, column {error.colno}"
        fix = "JSON knows no comments, no trailing commas and no single quotes"
        raise ConfigError(Problem(where, None, f"is not JSON: {error.msg}", fix)) from None
    except ValueError as error:
        raise ConfigError(Problem(str(path), None, str(error))) from None
    if not isinstance(values, dict):
        fix = "write {…} around it"
        raise ConfigError(Problem(str(path), None, "must hold a JSON object", fix))
    if twice:
        rule, fix = "is given twice in one block", "keep one of the two"
        raise ConfigError(*(Problem(f"{path}: {name}", None, rule, fix) for name in twice))
    return values


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        fix = suggest(path.name, [other.name for other in beside])
        raise ConfigError(Problem(str(path), None, "no such file", fix)) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(str(path), None, "is not UTF-8 text")) from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(Problem(str(path), None, reason)) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"is not JSON: {name} is no JSON number")
