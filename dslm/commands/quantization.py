"""Compare a model with itself in few bits: ``quantization RUN --data SHARDS``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dslm.commands.cli import Parser
from dslm.commands.columns import columns
from dslm.commands.rounding import add_rounding, calibration, rounding
from dslm.errors import ConfigError, Problem, SetupError
from dslm.report.quantization import HEAD, section
from dslm.run.folder import RunFolder
from dslm.shards.shard_set import ShardSet

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
    parser = Parser("dslm quantization", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    parser.add_argument("--data", metavar="SHARDS", required=True, help="held-out text")
    floats = "the float run to compare a rounded one with; the one it began with unless given"
    parser.add_argument("--float", metavar="RUN", type=Path, help=floats)
    add_rounding(parser)
    few = f"held-out rows on which each layer is measured; default {ROWS}"
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N", help=few)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(argv)
    if options.rows < 1:
        raise ConfigError(Problem("--rows", options.rows, "must be at least 1"))
    shards = ShardSet.open(options.data)

    from dslm.inference.comparison import compare, which

    compared = which(options.run, options.float, rounding(options))
    found = compare(compared, shards, calibration(options), options.rows)
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


def _show(found: Mapping[str, Any]) -> None:
    """Print what was found."""
    shown = section(found)
    print(*columns(shown.rows, " ".join(HEAD[1:])), sep="\n")
    print()
    print(shown.verdict)
    print(shown.measured)
    print(*columns([(name, value) for name, _, value in shown.bars], ""), sep="\n")
