"""A small JSON file that describes the folder it lies in, as a dataclass: strict in, whole out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dslm.config.parse import parse
from dslm.config.renamed import with_current_names
from dslm.errors import ConfigError, DataError, Problem
from dslm.files.whole import write_json

T = TypeVar("T")

NOTHING: Mapping[str, str] = {}


def save(record: Any, path: Path) -> None:
    """Write a dataclass as JSON, whole or not at all."""
    write_json(path, dataclasses.asdict(record))


def load(
    cls: type[T], path: Path, what: str, maker: str, renamed: Mapping[str, str] = NOTHING
) -> T:
    """Read a dataclass from JSON; no key may be unknown, missing or of a wrong type.

    Args:
        cls: the dataclass.
        path: the file.
        what: what its folder is when the file is there, such as ``shard set``.
        maker: the script under ``preprocess/`` that makes such a folder.
        renamed: today's name of each key that had another one; see `with_current_names`.

    Raises:
        DataError: the file is missing or is something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return parse(cls, with_current_names(values, renamed) if renamed else values)
    except OSError as error:
        rule = error.strerror or "cannot be read"
        if isinstance(error, FileNotFoundError):
            rule = f"the folder is not a {what}" if path.parent.exists() else f"no such {what}"
        fix = f"make one with preprocess/{maker}.py"
        raise DataError(Problem(str(path), None, rule, fix)) from None
    except ValueError as error:
        rule = f"is damaged ({error})"
        raise DataError(Problem(str(path), None, rule, "make the folder again")) from None
    except ConfigError as error:
        problems = [Problem(f"{path}: {p.where}", p.found, p.rule) for p in error.problems]
        raise DataError(*problems) from None
