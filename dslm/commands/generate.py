"""Let a trained model complete a text: ``generate RUN --prompt TEXT``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from dslm.commands.cli import Parser
from dslm.commands.kept import keep, used
from dslm.commands.rounding import add_rounding, calibration, rounding
from dslm.run.results import add_sample


def main(argv: list[str]) -> None:
    """Print the prompt completed as the model was trained to."""
    parser = Parser("generate.py", "Let a trained model continue a text, or fill its <mask>s.")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    parser.add_argument("--prompt", default="", help="the beginning; empty begins a new document")
    parser.add_argument("--max-new-tokens", type=int, default=100, help="default 100")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 takes the likeliest")
    parser.add_argument("--top-k", type=int, help="draw among this many of the likeliest")
    parser.add_argument("--top-p", type=float, help="draw among those of this share together")
    parser.add_argument("--seed", type=int, default=0, help="decides the draws; default 0")
    parser.add_argument("--step", type=int, help="which checkpoint; the newest unless given")
    add_rounding(parser)
    options = parser.parse_args(argv)

    from dslm.inference.complete import complete
    from dslm.inference.generate import SamplingConfig
    from dslm.inference.trained import load

    sampling = SamplingConfig(options.temperature, options.top_k, options.top_p, options.seed)
    trained = load(options.run, options.step, rounding(options), calibration(options))
    text = complete(trained, options.prompt, options.max_new_tokens, sampling)
    print(text)
    asked = {"prompt": options.prompt, "max_new_tokens": options.max_new_tokens, **asdict(sampling)}
    keep(options.run, add_sample, {**used(trained, options), **asked, "text": text})
