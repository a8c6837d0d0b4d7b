"""Let a trained model complete a text: ``generate RUN --prompt TEXT``."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict

from dslm.commands.cli import Parser
from dslm.commands.kept import keep, used
from dslm.commands.model_options import selected
from dslm.commands.rounding import add_rounding
from dslm.commands.run_option import add_run, add_step
from dslm.errors import Problems, UserError
from dslm.inference.prompts import check_prompt, mask_as_text
from dslm.inference.sampling import SamplingConfig, check_sampling
from dslm.run.results import add_sample


def main(argv: list[str]) -> None:
    """Print the prompt completed as the model was trained to."""
    options, found = _parser().parse_with_problems(argv)
    sampling = _sampling(options, found)
    model = selected(options, found)
    if model is not None:
        asked = options.prompt, model.config.model, model.objective, model.tokenizer
        found.problems += check_prompt(*asked, str(model.folder.path))
    if found.problems or model is None or sampling is None:
        raise UserError(*found.problems)
    if note := mask_as_text(options.prompt, model.objective):
        print(f"warning: --prompt: {note}", file=sys.stderr)

    from dslm.inference.complete import complete
    from dslm.inference.trained import load_selected

    trained = load_selected(model)
    text = complete(trained, options.prompt, options.max_new_tokens, sampling)
    print(text)
    most = options.max_new_tokens
    how = {"prompt": options.prompt, "max_new_tokens": most, **asdict(sampling)}
    keep(model.folder.path, add_sample, {**used(trained, options), **how, "text": text})


def _sampling(options: Namespace, found: Problems) -> SamplingConfig | None:
    """How tokens are chosen; `None` where a value is no number, which has been noted."""
    if None in (options.temperature, options.seed, options.max_new_tokens):
        return None
    sampling = SamplingConfig(options.temperature, options.top_k, options.top_p, options.seed)
    found.problems += check_sampling(sampling, options.max_new_tokens)
    return sampling


def _parser() -> Parser:
    purpose = "Let a trained model continue a text, or fill its <mask>s."
    example = 'python launch/generate.py runs/a --prompt "Once upon" --temperature 0.8 --top-k 50'
    parser = Parser("generate.py", purpose, example, text="--prompt")
    add_run(parser)
    beginning = "the beginning, in quotes (default: none; a new document is begun)"
    parser.add_argument("--prompt", metavar="TEXT", default="", help=beginning)
    most = "how many tokens to write at most"
    parser.add_argument("--max-new-tokens", metavar="N", type=int, default=100, help=most)
    warmth = "scores are divided by it; 0 takes the likeliest token"
    parser.add_argument("--temperature", metavar="T", type=float, default=1.0, help=warmth)
    few = "draw among this many of the likeliest (default: all)"
    parser.add_argument("--top-k", metavar="K", type=int, help=few)
    nucleus = "draw among the likeliest whose probabilities add up to this (default: 1, all)"
    parser.add_argument("--top-p", metavar="P", type=float, help=nucleus)
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="decides the draws")
    add_step(parser)
    add_rounding(parser)
    return parser
