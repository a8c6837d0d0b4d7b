"""What a model gives away of its training: ``dslm inspect memory RUN --data SHARDS``."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from dslm.commands.cli import Parser, typed_path
from dslm.commands.columns import columns
from dslm.commands.model_options import selected, text_for
from dslm.commands.rounding import add_rounding
from dslm.commands.run_option import add_run, add_step
from dslm.errors import Problems, UserError
from dslm.inference.selection import Selected
from dslm.inspection.row import check_continues
from dslm.inspection.sequences import (
    SEQUENCES,
    TOKENS,
    SequencesConfig,
    draw,
    occurrences,
    sequences_config,
)
from dslm.progress import Progress, counted

if TYPE_CHECKING:
    from dslm.inspection.memory import Memory

SHOWN = 10
"""Documents and sequences that the screen shows."""
DESCRIPTION = """\
The share of training sequences that a model continues word for word, by how often they occur in the
shards, and the documents they are from. A sequence is a prompt and what follows it, within one
document; equal ones count once.
"""


def memory(arguments: list[str]) -> None:
    """Print the shares and the documents."""
    options, found = _parser().parse_with_problems(arguments)
    model = selected(options, found)
    shards = text_for(model, options.data, found)
    config = None if model is None else _config(options, model, found)
    rows = None
    if shards is not None and config is not None:
        rows = found.collect(draw, shards, config)
    if found.problems or model is None or shards is None or config is None or rows is None:
        raise UserError(*found.problems)
    with Progress(shards.tokens - config.length + 1, "tokens", "counting") as progress:
        places = occurrences(shards, rows, progress.advance)

    from dslm.inference.trained import load_selected
    from dslm.inspection.memory import memory as measure
    from dslm.inspection.memory_page import write_memory

    trained = load_selected(model)
    with Progress(len(rows), "sequences", "continuing") as progress:
        result = measure(trained, shards, rows, config.prompt, places, progress.advance)
    if options.json:
        how = {**asdict(config), "step": trained.step, "data": str(options.data)}
        documents = [{**asdict(one), "memorized": count} for one, count in result.documents]
        print(json.dumps({**asdict(result), "documents": documents, **how}, ensure_ascii=False))
    else:
        print(*_screen(result, config), sep="\n")
    if options.html is not None:
        about = f"step {trained.step:,}", str(options.data)
        name = model.folder.path.resolve().name
        write_memory(result, options.html, name, about, f"{_rule(config)}.")
        if not options.json:
            print(f"\n{options.html}")


def _config(options: Namespace, model: Selected, found: Problems) -> SequencesConfig | None:
    """What is drawn; `None` where it cannot be, which is noted."""
    wrong = check_continues(model.objective, model.folder.path)
    found.problems += wrong
    if wrong or options.sequences is None or options.seed is None:
        return None
    asked = options.prompt_tokens, options.new_tokens, options.sequences, options.seed
    return found.collect(sequences_config, *asked, model.config.model)


def _rule(config: SequencesConfig) -> str:
    """What was asked of the model."""
    return f"{counted(config.new, 'token')} after a prompt of {config.prompt}, greedily"


def _screen(result: Memory, config: SequencesConfig) -> Iterator[str]:
    """The table, and what is behind it."""
    yield f"{_rule(config)}:"
    yield from columns(result.table, "sequences memorized share")
    if not result.sequences:
        return
    yield "\ndocuments with the most of them:"
    for one, count in result.documents[:SHOWN]:
        where = f"document {one.number} · {one.input} at {one.place:,} · sha256 {one.sha256[:12]}…"
        yield f"  {counted(count, 'sequence')}: {where}"
    yield "\nthe rarest of them:"
    for found in result.sequences[:SHOWN]:
        yield f"  {found.occurrences:,} ×  {found.text!r}"


def _parser() -> Parser:
    example = "dslm inspect memory runs/a --data shards/train"
    parser = Parser("dslm inspect memory", DESCRIPTION, example)
    add_run(parser)
    text = "what the model was trained on, a shard set"
    parser.add_argument("--data", metavar="SHARDS", type=typed_path, required=True, help=text)
    few = f"tokens of a prompt (default: {TOKENS}, or half of a smaller window)"
    parser.add_argument("--prompt-tokens", metavar="N", type=int, help=few)
    few = f"tokens that are to follow it (default: {TOKENS}, or half of a smaller window)"
    parser.add_argument("--new-tokens", metavar="N", type=int, help=few)
    many = "how many sequences are drawn"
    parser.add_argument("--sequences", metavar="N", type=int, default=SEQUENCES, help=many)
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="decides the draws")
    page = "write a page with more of the documents and texts (default: none)"
    parser.add_argument("--html", metavar="PAGE", type=typed_path, help=page)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add_step(parser)
    add_rounding(parser)
    return parser
