"""One page about a shard set, from its manifest: how much, how long, what is missing and why.

Bars are plain elements with a width, so the page needs no script and no network.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dslm.progress import human
from dslm.report.markup import Html, tag
from dslm.report.style import STYLE
from dslm.shards.manifest import Manifest
from dslm.shards.statistics import Statistics

BARS = """
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 3px 12px; }
.bars i { display: block; height: 16px; border-radius: 3px; background: var(--train); }
.bars span { font-size: 13px; }
.bars span:nth-child(3n) { color: var(--soft); text-align: right; }
"""

LISTED = 100
"""Inputs that are named; more would make the page long."""


def write_data_page(folder: Path, manifest: Manifest, page: Path) -> None:
    """Write the page, replacing an older one in one move.

    Args:
        folder: the shard set, for its name.
        manifest: what it says of itself.
        page: the file to write.
    """
    unfinished = page.with_name(f".{page.name}.partial")
    unfinished.write_text(render(folder.resolve().name, manifest), encoding="utf-8")
    os.replace(unfinished, page)


def render(name: str, manifest: Manifest) -> str:
    """The whole page as text."""
    statistics = manifest.statistics
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", f"{name} · dslm shard set"),
        tag("style", Html(STYLE + BARS)),
    )
    languages = {code or "?": volume.documents for code, volume in statistics.languages.items()}
    body = tag(
        "body",
        tag("header", tag("h1", name), tag("dl", *map(_tile, figures(manifest)), class_="figures")),
        _section("Documents by length, in tokens", lengths(statistics)),
        _section("Documents by language", languages),
        _section("Changed by cleaning", statistics.changed),
        _section("Left out", statistics.left_out),
        _section("Broken records", statistics.broken),
        tag("section", tag("h2", "Broken, the first"), tag("pre", "\n".join(statistics.examples)))
        if statistics.examples
        else "",
        _inputs(manifest),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


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


def _tile(told: tuple[str, str]) -> Html:
    return tag("div", tag("dt", told[0]), tag("dd", told[1], class_="value"))


def _section(title: str, numbers: Mapping[str, int]) -> Html:
    if not numbers:
        return Html()
    most, total = max(numbers.values()), max(sum(numbers.values()), 1)
    cells: Iterable[Html] = (
        cell
        for name, number in numbers.items()
        for cell in (
            tag("span", name),
            tag("i", style=f"width: {100 * number / most:.1f}%"),
            tag("span", f"{number:,} · {100 * number / total:.1f} %"),
        )
    )
    return tag("section", tag("h2", title), tag("div", *cells, class_="bars"))


def _inputs(manifest: Manifest) -> Html:
    names = [f"{one.bytes:>15,}  {one.sha256[:12]}  {one.name}" for one in manifest.inputs[:LISTED]]
    more = len(manifest.inputs) - len(names)
    if more:
        names.append(f"… and {more:,} more")
    return tag("section", tag("h2", "Inputs"), tag("pre", "\n".join(names)))
