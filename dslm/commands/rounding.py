"""The options with which a trained model is used rounded, or as floats."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import replace

from dslm.commands.cli import typed_path
from dslm.config.parse import parse
from dslm.errors import ConfigError, Problem
from dslm.inference.selection import Calibration
from dslm.quantization.config import CALIBRATION_ROWS, SCHEMES, QuantizationConfig
from dslm.train.missing_shards import open_shards


def add_rounding(parser: ArgumentParser) -> None:
    """Add ``--scheme``, ``--group-size`` and the options of calibration."""
    rounded = (
        "round weights and inputs to so many bits; none: not at all (default: as it was trained)"
    )
    parser.add_argument("--scheme", choices=["none", *SCHEMES], help=rounded)
    shared = "inputs whose weights share a scale (default 32; for w8a8 all of them)"
    parser.add_argument("--group-size", type=int, metavar="N", help=shared)
    text = "round weights for the inputs that these shards give them, GPTQ (default: to nearest)"
    parser.add_argument("--calibrate", metavar="SHARDS", type=typed_path, help=text)
    rows = f"how many rows of it are read, evenly spread (default {CALIBRATION_ROWS})"
    parser.add_argument("--calibration-rows", type=int, metavar="N", help=rows)


def rounding(options: Namespace) -> QuantizationConfig | None:
    """What was asked for; `None` = as the model was trained.

    Raises:
        ConfigError: a size of groups that is none, or one without a scheme.
    """
    if options.scheme is not None:
        asked = {"scheme": options.scheme, "group_size": options.group_size}
        try:
            return parse(QuantizationConfig, asked)
        except ConfigError as error:
            raise ConfigError(*as_options(error.problems)) from None
    if options.group_size is not None:
        rule = "means nothing without a scheme"
        raise ConfigError(Problem("--group-size", options.group_size, rule, "give --scheme"))
    return None


def as_options(problems: Iterable[Problem]) -> list[Problem]:
    """What is wrong with a rounding, named by the options that say it."""
    names = {"group_size": "--group-size", "scheme": "--scheme"}
    return [
        replace(one, where=names.get(one.where.removeprefix("quantization."), one.where))
        for one in problems
    ]


def calibration(options: Namespace) -> Calibration | None:
    """The text that was named to calibrate with, if any was.

    Raises:
        UserError: there is no such shard set, or a number of rows that is none.
    """
    rows = options.calibration_rows
    if options.calibrate is None and rows is not None:
        rule, fix = "means nothing without a shard set", "give --calibrate"
        raise ConfigError(Problem("--calibration-rows", rows, rule, fix))
    if rows is not None and rows < 1:
        raise ConfigError(Problem("--calibration-rows", rows, "must be at least 1"))
    if options.calibrate is None:
        return None
    shards = open_shards("--calibrate", options.calibrate)
    return Calibration(shards, CALIBRATION_ROWS if rows is None else rows)
