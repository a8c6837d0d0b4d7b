"""Compare a model with itself in few bits: ``quantization RUN --data SHARDS``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from dslm.commands.cli import Parser, typed_path
from dslm.commands.columns import columns
from dslm.commands.model_options import text_for
from dslm.commands.rounding import add_rounding, calibration, rounding
from dslm.commands.run_option import add_run
from dslm.errors import Problem, SetupError, UserError
from dslm.inference.compared import which
from dslm.inference.selection import select
from dslm.report.quantization import HEAD, section
from dslm.run.folder import RunFolder

ROWS = 64
DESCRIPTION = """\
What rounding to few bits costs a model: as floats, rounded after training (to nearest and, with
--calibrate, for a text), trained rounded; and by how much each layer alone raises the loss.

RUN was trained rounded, and is compared with the float run that it began with; or it was trained as
floats, and --scheme says what to round it to. Written to quantization.json in RUN, for its report.
"""


def main(argv: list[str]) -> None:
    """Print a table and the sensitivity of each layer, and write both down.

    Raises:
        UserError: a run cannot be used, there is nothing to compare, or the shards do not fit.
    """
    options, problems = _parser().parse_with_problems(argv)
    if options.rows is not None and options.rows < 1:
        rule, fix = "must be at least 1", f"use {ROWS}"
        problems.problems.append(Problem("--rows", options.rows, rule, fix))
    how = problems.collect(rounding, options)
    text = problems.collect(calibration, options)
    compared = model = None
    if options.run is not None and not problems.problems:
        compared = problems.collect(which, options.run, options.float, how)
    if compared is not None:
        model = problems.collect(select, compared.floats, None, compared.quantization, text)
        if compared.trained is not None:
            problems.collect(select, compared.trained)
    shards = text_for(model, options.data, problems)
    if problems.problems or compared is None or shards is None:
        raise UserError(*problems.problems)

    from dslm.inference.comparison import compare

    found = compare(compared, shards, text, options.rows)
    if options.json:
        print(json.dumps(found))
    else:
        _show(found)
    folder = RunFolder(options.run)
    try:
        folder.write_quantization(found)
    except OSError as error:
        rule = f"cannot be written: {error.strerror}"
        fix = "the figures above are all there is"
        raise SetupError(Problem(str(folder.quantization), None, rule, fix)) from error
    if not options.json:
        print("next:")
        print(f"  python launch/report.py {shlex.quote(options.run.as_posix())}")


def _parser() -> Parser:
    example = "dslm quantization runs/a --data shards/validation --scheme w4"
    parser = Parser("dslm quantization", DESCRIPTION, example)
    add_run(parser)
    held_out = "held-out text, a shard set"
    parser.add_argument("--data", metavar="SHARDS", type=typed_path, required=True, help=held_out)
    floats = "the float run to compare a rounded one with (default: the one it began with)"
    parser.add_argument("--float", metavar="RUN", type=typed_path, help=floats)
    add_rounding(parser)
    few = "held-out rows on which each layer is measured"
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N", help=few)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser


def _show(found: Mapping[str, Any]) -> None:
    """Print what was found."""
    shown = section(found)
    print(*columns(shown.rows, " ".join(HEAD[1:])), sep="\n")
    print()
    print(shown.verdict)
    print(shown.measured)
    print(*columns([(name, value) for name, _, value in shown.bars], ""), sep="\n")
