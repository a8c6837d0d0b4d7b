"""Blocks compiled by a backend that only traces them and runs what was traced."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch._dynamo.backends.debugging import aot_eager

from helpers.launching import Ended

GRAPHS = "graphs"
"""File beside a run's folder, with a line for each graph that its first rank has made."""


def traced(rank: int, folder: Path) -> None:
    """Have a rank compile so, and count what it compiles.

    Args:
        rank: its number.
        folder: of the run.
    """

    def backend(graph: Any, inputs: Any) -> Any:
        if rank == 0:
            with open(f"{folder}.{GRAPHS}", "a") as file:
                file.write("graph\n")
        return aot_eager(graph, inputs)

    torch.compile = partial(torch.compile, backend=backend)  # type: ignore[assignment]


def graphs(folder: Path) -> int:
    """How many graphs the first rank of a run has made."""
    file = Path(f"{folder}.{GRAPHS}")
    return len(file.read_text().splitlines()) if file.exists() else 0


def compiled_at(ended: Ended) -> list[int]:
    """The steps of a run whose speed is not known, as something was compiled in them."""
    lines = map(json.loads, (ended.folder / "metrics.jsonl").read_text().splitlines())
    return [one["step"] for one in lines if one.get("tokens_per_second", 1) is None]


def cached(_: int, folder: str) -> None:
    """Have a rank keep and find what it compiles in a folder, with no process beside it."""
    os.environ |= {"TORCHINDUCTOR_CACHE_DIR": folder, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
