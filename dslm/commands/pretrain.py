"""Train a model: ``pretrain PRESET --deepspeed_config FILE key=value …``."""

from __future__ import annotations

import argparse
import traceback

from dslm.commands.cli import Parser, explain
from dslm.commands.pretrain_options import said_once, without_options, without_rank
from dslm.config.help import describe
from dslm.config.overrides import merge
from dslm.environment import World, read_world
from dslm.errors import Problem, Problems, UserError
from dslm.launchers import RANK
from dslm.run.config import RunConfig
from dslm.run.presets import PRESETS
from dslm.run.settings import decided
from dslm.signals import REQUESTS
from dslm.train.agreement import agree
from dslm.train.prepare import Job, prepare
from dslm.train.verification import NO_CHECKPOINT, take_folder


def main(argv: list[str]) -> None:
    """Check, then train."""
    parser = _parser()
    if {"-h", "--help"} & set(argv):
        print(_help(parser, argv))
        return
    world = read_world()
    REQUESTS.watch(world.launcher)
    job, found, problems = _check(argv, world)
    REQUESTS.begin()
    try:
        with REQUESTS.at_once():
            agree(world, job, problems, explain)
        assert job is not None  # else there were problems
        from dslm.train.pretrain import pretrain

        pretrain(job, world, without_rank(argv), found)
    finally:
        if job is not None:
            job.folder.lock.release()


def _check(
    argv: list[str], world: World
) -> tuple[Job | None, tuple[int, list[Problem]], list[Problem]]:
    """What this rank is going to do, what `take_folder` found, and what keeps it from starting."""
    job, found = None, (NO_CHECKPOINT, list[Problem]())
    problems = Problems()
    try:
        parser = _parser()
        arguments, problems.problems = without_options(argv, parser)
        options = problems.collect(parser.parse_args, arguments)
        if options:
            files = options.config, options.deepspeed_config
            job = problems.collect(prepare, options.words, *files, world)
            problems.problems = said_once(problems.problems)
        if job and world.is_main and not problems.problems:
            found = take_folder(job)
    except UserError as error:
        return job, found, list(error.problems)
    except Exception as error:
        if world.size == 1:
            raise
        traceback.print_exception(error)
        return job, found, [Problem(type(error).__name__, None, str(error))]
    return job, found, problems.problems


def _parser() -> Parser:
    parser = Parser(
        "pretrain.py",
        "Train a language model. Settings: preset, then --config, then key=value.\n"
        "lr=3e-4, batch=64 and ds.KEY=value change DeepSpeed's JSON.",
        "python launch/pretrain.py tiny --deepspeed_config ds_configs/zero1_fp32.json \\\n"
        "      data.train=shards/train run=runs/a",
        add_help=False,
    )
    parser.add_argument("words", metavar="PRESET key=value", nargs="*")
    parser.add_argument("--deepspeed_config", metavar="FILE", help="DeepSpeed's JSON (required)")
    parser.add_argument("--config", metavar="FILE", help="settings as JSON, or a run.json")
    parser.add_argument(*RANK, type=int, help=argparse.SUPPRESS)
    return parser


def _help(parser: Parser, argv: list[str]) -> str:
    named = [word for word in argv if word in PRESETS]
    if named:
        values = PRESETS[named[0]]()
        keys = describe(RunConfig, merge(values, {"model": decided(values)}))
        return f"{named[0]}: {PRESETS[named[0]].__doc__}\n\nkeys (key=value):\n{keys}"
    presets = "\n".join(f"  {name:<18}{preset.__doc__}" for name, preset in PRESETS.items())
    more = "pretrain.py PRESET --help lists every key with its type, default and meaning."
    return f"{parser.format_help()}\npresets:\n{presets}\n\n{more}"
