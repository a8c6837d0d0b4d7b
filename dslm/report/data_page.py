"""One page about a shard set: how much, how long, what it reads like, what is missing and why.

Bars are plain elements with a width, so the page needs no script and no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dslm.progress import counted, human
from dslm.report.data_samples import Sample
from dslm.report.markup import fill
from dslm.report.page import write_page
from dslm.shards.manifest import Manifest
from dslm.shards.statistics import Statistics

LISTED = 1000
"""Inputs that are named; more would make the page large."""


@dataclass(frozen=True)
class Shown:
    """What a page shows beside the manifest."""

    folder: str
    """Where the set is."""
    made: str
    """When it was made."""
    tokenizer: str
    """The kind of its tokenizer."""
    kept: list[Sample] = field(default_factory=list)
    """Some of its documents."""
    rejected: dict[str, list[Sample]] = field(default_factory=dict)
    """Some records that were left out, by reason."""


@dataclass(frozen=True)
class Bars:
    """A table of counts."""

    note: str
    """What the counts are of, and the shares."""
    rows: list[tuple[str, str, str]]
    """The name, the width in percent and the caption of each bar; the longest is full."""


def write_data_page(page: Path, manifest: Manifest, shown: Shown) -> None:
    """Write the page, replacing an older one in one move.

    Args:
        page: the file to write.
        manifest: what the set says of itself.
        shown: what is shown beside that.

    Raises:
        SetupError: it cannot be written.
    """
    write_page(page, render(manifest, shown))


def render(manifest: Manifest, shown: Shown) -> str:
    """The whole page as text."""
    name = Path(shown.folder).name
    return fill(
        "data.html",
        title=f"{name} · dslm shard set",
        name=name,
        shown=shown,
        facts=_facts(manifest, shown),
        figures=figures(manifest),
        bars=_all_bars(manifest.statistics),
        examples=manifest.statistics.examples,
        settings=_settings(manifest.settings),
        inputs=manifest.inputs[:LISTED],
        more=max(len(manifest.inputs) - LISTED, 0),
        summary=f"{counted(len(manifest.inputs), 'input')}, "
        f"{human(sum(one.bytes for one in manifest.inputs))}B",
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
        ("left out", f"{sum(statistics.dropped.values()):,}"),
        ("broken", f"{sum(statistics.broken.values()):,}"),
        ("vocabulary", f"{manifest.vocabulary:,}"),
        ("shards", f"{len(manifest.shards):,}"),
    ]
    later = [("in other sets", statistics.elsewhere), ("removed since", len(manifest.removed))]
    return known + [(name, f"{number:,}") for name, number in later if number]


def lengths(statistics: Statistics) -> dict[str, int]:
    """How many documents there are of each length, from the shortest that occurs."""
    there = [power for power, number in enumerate(statistics.lengths) if number]
    if not there:
        return {}
    return {
        f"{1 << power:,} – {(2 << power) - 1:,}": statistics.lengths[power]
        for power in range(there[0], there[-1] + 1)
    }


def _facts(manifest: Manifest, shown: Shown) -> list[tuple[str, str]]:
    """What the set is, in a line each."""
    versions = ", ".join(f"{name} {number}" for name, number in manifest.made_with.items())
    found = [
        ("folder", shown.folder),
        ("made", shown.made),
        ("tokenizer", f"{shown.tokenizer}, {manifest.tokenizer_sha256[:12]}"),
        ("split", _split(manifest.settings)),
        ("made with", versions),
    ]
    return [(name, value) for name, value in found if value]


def _split(settings: Mapping[str, Any]) -> str:
    return f"{settings['set']} of {settings['split']}" if "set" in settings else ""


def _all_bars(statistics: Statistics) -> dict[str, Bars]:
    """The tables of counts by title, each with shares of what its counts are part of."""
    kept, read = statistics.documents, statistics.documents + sum(statistics.left_out.values())
    records = read + sum(statistics.broken.values())
    languages = {code or "?": volume.documents for code, volume in statistics.languages.items()}
    tables = {
        "Documents by length": (
            lengths(statistics),
            kept,
            "in tokens; share of the documents kept",
        ),
        "Documents by language": (languages, kept, "share of the documents kept"),
        "Left out": (
            statistics.dropped,
            read,
            f"share of the {counted(read, 'document')} that were read",
        ),
        "Broken": (statistics.broken, records, f"share of {counted(records, 'record')}"),
        "Changed": (statistics.changed, 0, "documents, files or passages that each step changed"),
        "Invisible characters": (statistics.invisible, 0, "in the documents kept"),
    }
    return {
        title: Bars(note, _bars(counts, whole))
        for title, (counts, whole, note) in tables.items()
        if counts
    }


def _bars(counts: Mapping[str, int], whole: int) -> list[tuple[str, str, str]]:
    """The rows of a table; with shares where the counts are parts of a whole."""
    most = max(counts.values())
    return [
        (
            name,
            f"{100 * count / most:.1f}",
            f"{count:,} · {100 * count / whole:.1f} %" if whole else f"{count:,}",
        )
        for name, count in counts.items()
    ]


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the set was made: what is switched on, each with its settings."""
    rows = [("shard size", f"{human(settings['shard_size'])}B")] if "shard_size" in settings else []
    rows += [(key, str(value)) for key, value in settings.get("reading", {}).items()]
    for step, chosen in settings.get("cleaning", {}).items():
        if chosen["on"]:
            more = {
                key: value for key, value in chosen.items() if key != "on" and value is not True
            }
            rows.append((f"cleaning: {step}", _listed(more) or "on"))
    duplicates = settings.get("duplicates", {})
    sought = [name for name in ("documents", "paragraphs", "near") if duplicates.get(name)]
    rows.append(("duplicates", ", ".join(sought) or "not looked for"))
    return rows + [(key, _listed({key: settings[key]})) for key in ("against",) if key in settings]


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
