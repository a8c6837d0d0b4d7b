"""The programs that decide the bytes of a shard set: two versions of one may not make one set."""

from __future__ import annotations

from importlib.metadata import version

import dslm

LIBRARIES = ("ftfy", "numpy", "orjson", "pyarrow", "pycld2", "sentencepiece", "tokenizers")


def versions() -> dict[str, str]:
    """The versions in use, by name."""
    return {"dslm": dslm.__version__, **{name: version(name) for name in LIBRARIES}}
