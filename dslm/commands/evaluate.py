"""Measure a trained model on held-out text: ``evaluate RUN --data SHARDS``."""

from __future__ import annotations

import json
from pathlib import Path

from dslm.commands.cli import Parser
from dslm.commands.kept import keep, used
from dslm.commands.rounding import add_rounding, calibration, rounding
from dslm.progress import Progress
from dslm.run.results import add_evaluation
from dslm.shards.shard_set import ShardSet


def main(argv: list[str]) -> None:
    """Print loss, perplexity, bits per byte and what else the objective measures."""
    parser = Parser("evaluate.py", "Measure a trained model on every token of a shard set.")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    parser.add_argument("--data", metavar="SHARDS", required=True, help="a shard set")
    parser.add_argument("--step", type=int, help="which checkpoint; the newest unless given")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_rounding(parser)
    options = parser.parse_args(argv)
    shards = ShardSet.open(options.data)

    from dslm.inference.evaluate import evaluate
    from dslm.inference.trained import load

    trained = load(options.run, options.step, rounding(options), calibration(options))
    with Progress(shards.tokens - 1, "tokens", "evaluating") as progress:
        result = evaluate(trained, shards, progress.advance)
    figures = {
        "loss": result.loss,
        **result.measures,
        "perplexity": result.perplexity,
        "bits_per_byte": result.bits_per_byte,
        "tokens": result.tokens,
    }
    figures = {name: value for name, value in figures.items() if value is not None}
    if options.json:
        print(json.dumps({**figures, "step": trained.step, "data": options.data}))
    else:
        shown = {name.replace("_", " "): f"{value:.4f}" for name, value in figures.items()}
        shown["tokens"] = f"{result.tokens:,} of {options.data}, model of step {trained.step:,}"
        width = max(map(len, shown)) + 2
        print(*(f"{name:<{width}}{value}" for name, value in shown.items()), sep="\n")
    text = {"data": options.data, "fingerprint": shards.fingerprint}
    keep(options.run, add_evaluation, {**used(trained, options), **text, **figures})
