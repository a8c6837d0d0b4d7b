"""One page about a shard set, from its manifest: how much, how long, what is missing and why.

Bars are plain elements with a width, so the page needs no script and no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dslm.files.whole import write_text
from dslm.progress import human
from dslm.report.markup import fill
from dslm.shards.manifest import Manifest
from dslm.shards.statistics import Statistics

LISTED = 100
"""Inputs that are named; more would make the page long."""


def write_data_page(folder: Path, manifest: Manifest, page: Path) -> None:
    """Write the page, replacing an older one in one move.

    Args:
        folder: the shard set, for its name.
        manifest: what it says of itself.
        page: the file to write.
    """
    write_text(page, render(folder.resolve().name, manifest))


def render(name: str, manifest: Manifest) -> str:
    """The whole page as text."""
    statistics = manifest.statistics
    languages = {code or "?": volume.documents for code, volume in statistics.languages.items()}
    numbers = {
        "Documents by length, in tokens": lengths(statistics),
        "Documents by language": languages,
        "Changed by cleaning": statistics.changed,
        "Left out": statistics.left_out,
        "Broken records": statistics.broken,
    }
    return fill(
        "data.html",
        title=f"{name} · dslm shard set",
        name=name,
        figures=figures(manifest),
        bars={title: _bars(counts) for title, counts in numbers.items() if counts},
        examples=statistics.examples,
        inputs=_inputs(manifest),
    )


def figures(manifest: Manifest) -> list[tuple[str, str]]:
    """What one asks first, by name."""
    statistics = manifest.statistics
    documents = max(statistics.documents, 1)
    known = [
        ("documents", f"{statistics.documents:,}"),
        ("tokens", human(statistics.tokens)),
        ("bytes of text", human(statistics.text_bytes)),
        ("bytes a token", f"{statistics.text_bytes / max(statistics.tokens, 1):.2f}"),
        ("tokens a document", f"{statistics.tokens / documents:,.0f}"),
        ("sentences a document", f"{statistics.sentences / documents:,.1f}"),
        ("left out", f"{sum(statistics.left_out.values()):,}"),
        ("broken", f"{sum(statistics.broken.values()):,}"),
        ("vocabulary", f"{manifest.vocabulary:,}"),
        ("shards", f"{len(manifest.shards):,}"),
    ]
    return known + ([("removed since", f"{len(manifest.removed):,}")] if manifest.removed else [])


def lengths(statistics: Statistics) -> dict[str, int]:
    """How many documents there are of each length, from the shortest that occurs."""
    there = [power for power, number in enumerate(statistics.lengths) if number]
    if not there:
        return {}
    return {
        f"{1 << power:,} – {(2 << power) - 1:,}": statistics.lengths[power]
        for power in range(there[0], there[-1] + 1)
    }


def _bars(counts: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """The name, the width in percent and the caption of each bar; the longest is full."""
    most, total = max(counts.values()), max(sum(counts.values()), 1)
    return [
        (name, f"{100 * count / most:.1f}", f"{count:,} · {100 * count / total:.1f} %")
        for name, count in counts.items()
    ]


def _inputs(manifest: Manifest) -> list[str]:
    names = [f"{one.bytes:>15,}  {one.sha256[:12]}  {one.name}" for one in manifest.inputs[:LISTED]]
    more = len(manifest.inputs) - len(names)
    return names + ([f"… and {more:,} more"] if more else [])
