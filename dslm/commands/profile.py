"""Where the time of a step goes: ``profile PRESET --deepspeed_config FILE key=value …``.

Some real steps under torch's profiler; nothing of them is kept but a trace. Started by a launcher
all ranks make them, and the first one reports.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from dslm.commands.cli import Parser, typed_path
from dslm.commands.pretrain_options import said_once, without_options
from dslm.commands.ranks import add_rank, together
from dslm.commands.run_option import SETTINGS
from dslm.environment import World
from dslm.errors import Problem, Problems, UserError
from dslm.train.prepare import Job, prepare
from dslm.train.throughput import WARM_UP

TRACE = "profile.json.gz"


def main(argv: list[str]) -> None:
    """Check as for a run, make the steps, print what they took."""
    with together() as world, TemporaryDirectory(prefix="profile") as folder:
        parser, problems = _parser(), Problems()
        arguments, problems.problems = without_options(argv, parser)
        options = problems.collect(parser.parse_args, arguments)
        if options is None:
            raise UserError(*problems.problems)
        job = _job(options.words, options.config, options.deepspeed_config, folder, world, problems)
        if (options.steps or 0) < 1:
            problems.problems.append(Problem("--steps", options.steps, "must be at least 1"))
        if not options.trace.parent.is_dir():
            rule, fix = "is in a folder that does not exist", "make it first"
            problems.problems.append(Problem("--trace", str(options.trace), rule, fix))
        if problems.problems or job is None:
            raise UserError(*said_once(problems.problems))
        from dslm.train.profile import profile

        found = profile(job, world, argv, options.steps, options.trace)
        if options.json:
            print(json.dumps({**asdict(found), "trace": str(options.trace)}, indent=2))
            return
        print(f"{'step':<17}{1e3 * found.seconds:8.1f} ms, the mean of {found.steps}, profiled")
        for name, share in found.shares.items():
            print(f"{name:<17}{100 * share:8.1f} %")
        print(f"{'trace':<17}{options.trace} (for ui.perfetto.dev or chrome://tracing)")


def _job(
    words: list[str],
    config: str | None,
    deepspeed: str | None,
    folder: str,
    world: World,
    problems: Problems,
) -> Job | None:
    """The checked run, in a folder that is thrown away whatever its settings say."""
    kept = [word for word in words if word.partition("=")[0] not in ("run", "fresh")]
    path = Path(folder) / "run"
    return problems.collect(prepare, [*kept, f"run={path}"], config, deepspeed, world)


def _parser() -> Parser:
    parser = Parser(
        "dslm profile",
        "Make some training steps under torch's profiler, and say what their time is spent on.\n"
        "Settings: as for pretrain; nothing is written but the trace.",
        "dslm profile tiny --deepspeed_config ds_configs/zero1_fp32.json data.train=shards/train",
    )
    parser.add_argument("words", metavar="PRESET key=value", nargs="*")
    parser.add_argument("--deepspeed_config", metavar="FILE", help="DeepSpeed's JSON (required)")
    parser.add_argument("--config", metavar="FILE", help=SETTINGS)
    steps = f"how many, behind {WARM_UP} that are slower"
    parser.add_argument("--steps", metavar="N", type=int, default=3, help=steps)
    parser.add_argument(
        "--trace", metavar="FILE", type=typed_path, default=Path(TRACE), help="what happened when"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_rank(parser)
    return parser
