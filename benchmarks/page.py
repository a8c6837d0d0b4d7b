"""The page that a run of all benchmarks leaves: what was measured, on what, and how to repeat."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version

from measure import THREADS, Row, Table

PACKAGES = ("torch", "deepspeed", "datasets", "transformers", "sentencepiece", "numpy")

MISSED = "missed"

HEAD = """# Benchmarks

Written by `make benchmark`. Every figure of ours is set beside a peer's, measured in the same run
in turns; figures are medians over the rounds, ratios medians of the ratios within a round.
A ratio is ours over the peer's: of a rate more is better, of a time or of memory less.
The ratios carry over to other machines, the figures do not. A bound that was not met is marked.
Topics about corpora also need `--corpora FOLDER`, whose folders the benchmarks name.
"""


def about_this_machine(text: str) -> str:
    """A page whose head describes this machine."""
    return "\n## ".join([HEAD + "\n" + _machine() + "\n", *text.split("\n## ")[1:]])


def refreshed(text: str, tables: dict[str, Table]) -> str:
    """A page with the sections of some topics replaced, those it did not have at its end.

    Args:
        text: the page as it is.
        tables: what was measured anew, by the topic's name on the command line.
    """
    head, *sections = text.split("\n## ")
    for name, table in tables.items():
        new = _section(name, table).removeprefix("## ")
        there = [number for number, old in enumerate(sections) if _command(name) in old]
        if there:
            sections[there[0]] = new
        else:
            sections = [*sections[:-1], sections[-1].rstrip("\n") + "\n", new]
    return "\n## ".join([head, *sections])


def _command(name: str) -> str:
    return f"`python benchmarks/run.py {name}`"


def _machine() -> str:
    """What the figures depend on, without a name of the machine."""
    import torch

    instructions = torch.backends.cpu.get_cpu_capability()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Machine: {platform.machine()}, {os.cpu_count()} cores ({instructions}), {THREADS} threads"
        f" used. Python {platform.python_version()}, {packages}."
    )


def _section(name: str, table: Table) -> str:
    lines = [
        f"## {table.title}",
        "",
        f"{table.setting[0].upper()}{table.setting[1:]}.",
        "",
        "| claim | ours | peer | ratio | wanted |",
        "|---|---|---|---|---|",
        *map(_line, table.rows),
        "",
        _command(name),
        "",
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    missed = f" **{MISSED}**" if misses(row) else ""
    return f"| {row.claim} | {row.ours} | {row.peer} | {row.ratio} | {row.wanted}{missed} |"


def misses(row: Row) -> bool:
    """Whether a figure is on the wrong side of its bound, as ``1.19×`` of ``≤ 1.15×``.

    The figure is the ratio, or ours, whichever has the unit of the bound.
    """
    sign, _, wanted = row.wanted.partition(" ")
    bound, unit = _number(wanted)
    figures = [value for value, of in map(_number, (row.ratio, row.ours)) if of == unit]
    if bound is None or not figures or figures[0] is None or figures[0] == bound:
        return False
    return (figures[0] > bound) == (sign in "<≤")


def _number(text: str) -> tuple[float | None, str]:
    """A figure and its unit."""
    found = re.match(r"(-?[\d,.]+(?:e[+-]?\d+)?) ?([^ (]*)", text)
    return (float(found[1].replace(",", "")), found[2]) if found else (None, "")
