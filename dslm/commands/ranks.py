"""What several ranks do together that share a model: all compute, the first one alone speaks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from dslm.commands.cli import Parser
from dslm.environment import World, read_world
from dslm.errors import Problem, ReportedError, UserError
from dslm.inference.selection import Selected
from dslm.launchers import RANK

FILES = ("predictions", "output")
"""Options that name files, which the first rank writes."""


def add_rank(parser: Parser) -> None:
    """Accept what launchers add."""
    parser.add_argument(*RANK, type=int, help=argparse.SUPPRESS)


@contextmanager
def together() -> Iterator[World]:
    """The ranks that were started; what the others would say or report is left to the first one."""
    world = read_world()
    if world.is_main:
        yield world
    else:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            try:
                yield world
            except UserError:
                raise ReportedError(2) from None
    if world.size > 1:
        from dslm.parallel.world import shutdown

        shutdown()


def check_shared(
    world: World, model: Selected | None, options: argparse.Namespace
) -> list[Problem]:
    """What several ranks cannot do; on ranks that write nothing, options that name files go."""
    if not world.is_main:
        for name in FILES:
            setattr(options, name, None)
    if world.size == 1 or model is None:
        return []
    problems, blocks = list[Problem](), model.config.model.blocks
    if world.size > blocks:
        rule = f"cannot share a model of {blocks} blocks"
        problems.append(Problem("ranks", world.size, rule, f"start {blocks} or fewer"))
    if options.calibrate:
        rule, fix = "needs the whole model on one rank", "start one rank"
        problems.append(Problem("--calibrate", str(options.calibrate), rule, fix))
    return problems
