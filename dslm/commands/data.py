"""``dslm data verify|stats|show|trace|remove``: look into a shard set, or change it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from dslm.commands.cli import Parser, run_verb, typed_path
from dslm.errors import DataError, Problem
from dslm.progress import Progress, human
from dslm.report.data_page import Shown, figures, lengths, write_data_page
from dslm.report.data_samples import kept, rejected
from dslm.shards.manifest import FILE, Manifest
from dslm.shards.provenance import Provenance, ProvenanceReader
from dslm.shards.remove import remove
from dslm.shards.shard_set import ShardSet
from dslm.shards.verify import verify
from dslm.tokenizers.load import load_tokenizer

DESCRIPTION = """\
Look into a shard set.

  dslm data verify DIR                     compare every hash and count; name what is broken
  dslm data stats DIR [--html PAGE]        documents, tokens, lengths, languages, reasons
  dslm data show DIR --document 17         one document and where it came from
  dslm data trace RUN --step 100           the documents that a training step saw
  dslm data remove DIR --sha256 HASH       take a document out
"""

PAGE = "stats.html"


def main(arguments: list[str]) -> None:
    """Run the verb that the first argument names."""
    run_verb("dslm data", DESCRIPTION, VERBS, arguments, RENAMED)


def _verify(arguments: list[str]) -> None:
    parser = _parser("verify", "Read every shard: hashes, counts, ids, sentences.")
    folder = parser.parse_args(arguments).folder
    shards = ShardSet(folder, Manifest.load(folder))
    size = sum(shard.bytes for shard in shards.manifest.shards)
    with Progress(2 * size, "B", "verifying") as progress:
        problems = verify(shards, progress.advance)
    if problems:
        raise DataError(*problems)
    files, tokens = len(shards.manifest.shards), shards.tokens
    print(f"{folder}: whole")
    print(
        f"  {files} shards, {shards.documents:,} documents, {human(tokens)} tokens, {human(size)}B"
    )


def _stats(arguments: list[str]) -> None:
    parser = _parser("stats", "What a shard set holds, what was changed and what was left out.")
    parser.add_argument("--html", type=typed_path, metavar="PAGE", help=f"(default: DIR/{PAGE})")
    parser.add_argument(
        "--rejects",
        type=typed_path,
        metavar="FILE",
        help="what shard.py --rejects wrote: the page shows some of it",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)
    shards = ShardSet.open(options.folder)
    manifest, page = shards.manifest, options.html or options.folder / PAGE
    shown = _shown(shards, options.rejects)
    if options.json:
        print(json.dumps(asdict(manifest.statistics)))
    else:
        _print_table(manifest)
    write_data_page(page, manifest, shown)
    if not options.json:
        print(f"\n{page}")


def _print_table(manifest: Manifest) -> None:
    for name, value in figures(manifest):
        print(f"{name:<22}{value:>15}")
    statistics = manifest.statistics
    tables = {
        "documents by length": lengths(statistics),
        "languages": {code: volume.documents for code, volume in statistics.languages.items()},
        "changed": statistics.changed,
        "left out": statistics.dropped,
        "broken": statistics.broken,
        "invisible characters": statistics.invisible,
    }
    for title, numbers in tables.items():
        if numbers:
            print(f"\n{title}")
            for name, number in numbers.items():
                print(f"  {name:<32}{number:>15,}")


def _shown(shards: ShardSet, rejects: Path | None) -> Shown:
    """What the page shows beside the manifest."""
    tokenizer = load_tokenizer(shards.tokenizer)
    written = datetime.fromtimestamp((shards.folder / FILE).stat().st_mtime).astimezone()
    return Shown(
        folder=str(shards.folder.resolve()),
        made=written.strftime("%Y-%m-%d %H:%M %Z"),
        tokenizer=tokenizer.kind,
        kept=kept(shards, tokenizer),
        rejected=rejected(rejects) if rejects else {},
    )


def _show(arguments: list[str]) -> None:
    parser = _parser("show", "One document of a shard set, and where it came from.")
    parser.add_argument("--document", type=int, required=True, metavar="N", help="from 0")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(arguments)
    shards = ShardSet.open(options.folder)
    if not 0 <= options.document < shards.documents:
        rule = f"the set has documents 0 to {shards.documents - 1:,}"
        raise DataError(Problem("--document", options.document, rule))
    reader = ProvenanceReader(shards)
    provenance = reader(options.document)
    text = reader.text(options.document, load_tokenizer(shards.tokenizer))
    if options.json:
        print(json.dumps({**asdict(provenance), "text": text}, ensure_ascii=False))
        return
    for name, value in asdict(provenance).items():
        if value != "":
            print(f"{name:<12}{value}")
    print(f"\n{_harmless(text) if sys.stdout.isatty() else text}")


def _harmless(text: str) -> str:
    """Text without the characters that could control a terminal."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: ascii(found[0])[1:-1], text)


def _trace(arguments: list[str]) -> None:
    from dslm.train.provenance import trace

    parser = Parser("dslm data trace", "The documents that a step of a run saw.")
    parser.add_argument("folder", type=typed_path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--step", type=int, required=True, metavar="N", help="from 1")
    parser.add_argument("--rank", type=int, metavar="R", help="what this replica saw")
    parser.add_argument("--json", action="store_true", help="one JSON object a row of tokens")
    options = parser.parse_args(arguments)
    for seen in trace(options.folder, options.step, options.rank):
        if options.json:
            print(json.dumps({**asdict(seen), "folder": str(seen.folder)}))
            continue
        tokens = f"tokens {seen.first:,} … {seen.last - 1:,} of {seen.folder}"
        print(f"sample {seen.sample}, rank {seen.rank}: {tokens}")
        for document in seen.documents:
            print(f"  {_described(document)}")


def _remove(arguments: list[str]) -> None:
    parser = _parser("remove", "Take documents out of a shard set; its manifest will say so.")
    parser.add_argument(
        "--sha256",
        nargs="+",
        action="extend",
        required=True,
        metavar="HASH",
        help="of the document's text, as dslm data show prints it",
    )
    options = parser.parse_args(arguments)
    shards = ShardSet.open(options.folder)
    size = sum(shard.bytes for shard in shards.manifest.shards)
    with Progress(size, "B", "searching") as progress:
        removed = remove(shards, set(options.sha256), progress.advance)
    for one in removed:
        print(f"removed {one.sha256}: {one.tokens:,} tokens, from {one.shard}")
    print("runs that read this set before cannot be resumed on it: their order has changed")


def _described(document: Provenance) -> str:
    return (
        f"document {document.number:<8} sha256 {document.sha256[:12]}…  "
        f"{document.input} at {document.place:,}"
    )


def _parser(verb: str, description: str) -> Parser:
    parser = Parser(f"dslm data {verb}", description)
    parser.add_argument("folder", type=typed_path, metavar="DIR", help="the folder of a shard set")
    return parser


VERBS: dict[str, Callable[[list[str]], None]] = {
    "verify": _verify,
    "stats": _stats,
    "show": _show,
    "trace": _trace,
    "remove": _remove,
}

RENAMED = {"whence": "trace", "strike": "remove"}
"""Verbs of an earlier version."""
