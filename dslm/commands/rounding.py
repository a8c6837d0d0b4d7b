"""The options with which a trained model is used rounded, or as floats."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from dslm.config.parse import parse
from dslm.errors import ConfigError, Problem
from dslm.quantization.config import CALIBRATION_ROWS, SCHEMES, QuantizationConfig
from dslm.shards.shard_set import ShardSet

if TYPE_CHECKING:
    from dslm.inference.calibration import Calibration


def add_rounding(parser: ArgumentParser) -> None:
    """Add ``--scheme``, ``--group-size`` and the options of calibration."""
    rounded = "round weights and inputs so, none = not at all; as it was trained unless given"
    parser.add_argument("--scheme", choices=["none", *SCHEMES], help=rounded)
    shared = "inputs whose weights share a scale, see quantization.group_size"
    parser.add_argument("--group-size", type=int, metavar="N", help=shared)
    text = "round weights for the inputs that this shard set gives them (GPTQ), not to nearest"
    parser.add_argument("--calibrate", metavar="SHARDS", help=text)
    rows = f"how many rows of it are read, evenly spread; default {CALIBRATION_ROWS}"
    parser.add_argument("--calibration-rows", type=int, metavar="N", help=rows)


def rounding(options: Namespace) -> QuantizationConfig | None:
    """What was asked for; `None` = as the model was trained.

    Raises:
        ConfigError: a size of groups that is none, or one without a scheme.
    """
    if options.scheme is not None:
        asked = {"scheme": options.scheme, "group_size": options.group_size}
        return parse(QuantizationConfig, asked)
    if options.group_size is not None:
        rule = "means nothing without a scheme"
        raise ConfigError(Problem("--group-size", options.group_size, rule, "give --scheme"))
    return None


def calibration(options: Namespace) -> Calibration | None:
    """The text that was named to calibrate with, if any was.

    Raises:
        UserError: there is no such shard set, or a number of rows that is none.
    """
    from dslm.inference.calibration import Calibration

    rows = options.calibration_rows
    if options.calibrate is None and rows is not None:
        rule, fix = "means nothing without a shard set", "give --calibrate"
        raise ConfigError(Problem("--calibration-rows", rows, rule, fix))
    if rows is not None and rows < 1:
        raise ConfigError(Problem("--calibration-rows", rows, "must be at least 1"))
    if options.calibrate is None:
        return None
    return Calibration(ShardSet.open(options.calibrate), CALIBRATION_ROWS if rows is None else rows)
