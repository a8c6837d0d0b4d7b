"""The options with which a trained model is used rounded, or as floats."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from dslm.config.parse import parse
from dslm.errors import ConfigError, Problem
from dslm.quantization.config import SCHEMES, QuantizationConfig


def add_rounding(parser: ArgumentParser) -> None:
    """Add ``--scheme`` and ``--group-size``."""
    rounded = "round weights and inputs so, none = not at all; as it was trained unless given"
    parser.add_argument("--scheme", choices=["none", *SCHEMES], help=rounded)
    shared = "inputs whose weights share a scale, see quantization.group_size"
    parser.add_argument("--group-size", type=int, metavar="N", help=shared)


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
