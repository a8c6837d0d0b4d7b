"""The programs that decide the bytes of a shard set: two versions of one may not make one set."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import dslm

LIBRARIES = ("ftfy", "numpy", "orjson", "pyarrow", "pycld2", "sentencepiece", "tokenizers")
OPTIONAL = "gigatoken"


def versions() -> dict[str, str]:
    """The versions in use, by name."""
    found = {"dslm": dslm.__version__, **{name: version(name) for name in LIBRARIES}}
    try:
        return {**found, OPTIONAL: version(OPTIONAL)}
    except PackageNotFoundError:
        return found
