"""The versions with which something was made, for its record."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from dslm import __version__

LIBRARIES = ("torch", "deepspeed", "datasets", "pyarrow")


@cache
def versions() -> Mapping[str, str]:
    """Those of dslm, Python and the libraries that decide what a run computes."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {"dslm": __version__, "python": platform.python_version(), **libraries}


def installed(name: str) -> str | None:
    """The version of a package, which is not imported; `None` where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
