"""What a model prefers of pairs of sentences: ``dslm inspect bias RUN --pairs FILE``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from dslm.commands.cli import Parser, typed_path
from dslm.commands.columns import columns
from dslm.commands.model_options import selected
from dslm.commands.rounding import add_rounding
from dslm.commands.run_option import add_run, add_step
from dslm.errors import UserError
from dslm.inspection.pairs import compare_pairs, read_pairs
from dslm.inspection.row import check_likelihood
from dslm.progress import Progress, counted

if TYPE_CHECKING:
    from dslm.inspection.preference import Preference

DESCRIPTION = """\
How often a model finds that sentence of a pair more likely which expresses a bias more. The pairs
are JSON lines or a CSV with the fields more and less, or sent_more and sent_less as in CrowS-Pairs,
and bias_type where there are types.
"""


def bias(arguments: list[str]) -> None:
    """Print the shares."""
    options, found = _parser().parse_with_problems(arguments)
    model = selected(options, found)
    pairs = None if options.pairs is None else found.collect(read_pairs, options.pairs)
    compared = None
    if model is not None:
        wrong = check_likelihood(model.objective, model.folder.path)
        found.problems += wrong
        if pairs is not None and not wrong:
            read = model.config.model, model.objective, model.tokenizer
            compared = found.collect(compare_pairs, pairs, *read)
    if found.problems or model is None or compared is None:
        raise UserError(*found.problems)

    from dslm.inference.trained import load_selected
    from dslm.inspection.preference import preference

    trained = load_selected(model)
    with Progress(len(compared), "pairs", "comparing") as progress:
        result = preference(trained, compared, progress.advance)
    if options.json:
        print(json.dumps({**asdict(result), "step": trained.step, "pairs": str(options.pairs)}))
    else:
        print(*_screen(result), sep="\n")


def _screen(result: Preference) -> Iterator[str]:
    yield "the sentence that expresses the bias more is preferred (50 %: neither):"
    rows = [("type", "pairs", "preferred", "share", "95 %")]
    rows += [(name, *one.cells()) for name, one in result.by_type.items()]
    yield from columns([*rows, ("all", *result.all.cells())], "pairs preferred share")
    if result.ties:
        yield f"{counted(result.ties, 'pair')} equally likely, counted as not preferred"


def _parser() -> Parser:
    example = "dslm inspect bias runs/a --pairs crows_pairs.csv"
    parser = Parser("dslm inspect bias", DESCRIPTION, example)
    add_run(parser)
    what = "the pairs: .csv or .tsv with a head line, else JSON lines"
    parser.add_argument("--pairs", metavar="FILE", type=typed_path, required=True, help=what)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    add_step(parser)
    add_rounding(parser)
    return parser
