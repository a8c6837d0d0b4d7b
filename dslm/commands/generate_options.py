"""The options of ``generate``, and what they ask for; looked at without torch."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from dslm.commands.cli import Parser, typed_path
from dslm.commands.ranks import add_rank
from dslm.commands.rounding import add_rounding
from dslm.commands.run_option import add_run, add_step
from dslm.errors import Problem, Problems
from dslm.inference.prompt_file import TOGETHER, Prompt, read_prompts
from dslm.inference.sampling import SamplingConfig, check_sampling


def options_parser() -> Parser:
    """The parser of the command."""
    purpose = "Let a trained model continue texts, or fill their <mask>s."
    example = 'python launch/generate.py runs/a --prompt "Once upon" --temperature 0.8 --top-k 50'
    parser = Parser("generate.py", purpose, example, text="--prompt")
    add_run(parser)
    _add_texts(parser)
    _add_choice(parser)
    add_step(parser)
    add_rounding(parser)
    add_rank(parser)
    return parser


def _add_texts(parser: Parser) -> None:
    """What is completed, and where it goes."""
    texts = parser.add_argument_group("texts")
    beginning = "the beginning, in quotes (default: none; a new document is begun)"
    texts.add_argument("--prompt", metavar="TEXT", help=beginning)
    many = 'a prompt a line, or {"prompt": …} a line in *.jsonl (default: the one --prompt)'
    texts.add_argument("--prompts", metavar="FILE", type=typed_path, help=many)
    together = "prompts of a file that are completed at once"
    texts.add_argument("--batch", metavar="N", type=int, default=TOGETHER, help=together)
    most = "how many tokens to write at most"
    texts.add_argument("--max-new-tokens", metavar="N", type=int, default=100, help=most)
    until = "end before this string; may be repeated (default: none)"
    texts.add_argument("--stop", metavar="TEXT", action="append", default=[], help=until)
    texts.add_argument("--json", action="store_true", help="print a JSON object a line")
    file = "write JSON lines to it (default: print)"
    texts.add_argument("--output", metavar="FILE", type=typed_path, help=file)
    logs = "add each token and its log-probability to the JSON"
    texts.add_argument("--log-probabilities", action="store_true", help=logs)


def _add_choice(parser: Parser) -> None:
    """How tokens are chosen."""
    choice = parser.add_argument_group("how tokens are chosen")
    warmth = "scores are divided by it; 0 takes the likeliest token (default: 1; with beams 0)"
    choice.add_argument("--temperature", metavar="T", type=float, help=warmth)
    few = "draw among this many of the likeliest (default: all)"
    choice.add_argument("--top-k", metavar="K", type=int, help=few)
    nucleus = "draw among the likeliest whose probabilities add up to this (default: 1, all)"
    choice.add_argument("--top-p", metavar="P", type=float, help=nucleus)
    choice.add_argument("--seed", metavar="N", type=int, default=0, help="decides the draws")
    number = "texts to draw for each prompt"
    choice.add_argument("--samples", metavar="N", type=int, default=1, help=number)
    again = "above 1 makes tokens less likely that the text has already"
    choice.add_argument("--repetition-penalty", metavar="R", type=float, default=1.0, help=again)
    beams = "beam search: follow this many texts to find the likeliest; 1 = none"
    choice.add_argument("--beams", metavar="N", type=int, default=1, help=beams)
    power = "above 0 a beam search favours longer texts, below 0 shorter ones"
    choice.add_argument("--length-penalty", metavar="A", type=float, default=1.0, help=power)


def sampling_of(options: Namespace, found: Problems) -> SamplingConfig | None:
    """How tokens are chosen; `None` where a value is no number, which has been noted."""
    counts = options.max_new_tokens, options.seed, options.samples, options.beams
    if None in (*counts, options.repetition_penalty, options.length_penalty):
        return None
    usual = 0.0 if options.beams > 1 else 1.0
    sampling = SamplingConfig(
        usual if options.temperature is None else options.temperature,
        options.top_k,
        options.top_p,
        options.seed,
        options.repetition_penalty,
        options.samples,
        tuple(options.stop),
        options.beams,
        options.length_penalty,
    )
    found.problems += check_sampling(sampling, options.max_new_tokens)
    return sampling


def prompts_of(options: Namespace, found: Problems) -> list[Prompt]:
    """The prompts; none where the file holds something else, which is noted."""
    if options.batch is not None and options.batch < 1:
        fix = f"use {TOGETHER}"
        found.problems.append(Problem("--batch", options.batch, "must be at least 1", fix))
    if options.prompts is None:
        return [Prompt(options.prompt or "")]
    if options.prompt is not None:
        rule, fix = "prompts come from one place", "leave out --prompt or --prompts"
        found.problems.append(Problem("--prompts", str(options.prompts), rule, fix))
    return found.collect(read_prompts, options.prompts) or []


def check_output(options: Namespace) -> list[Problem]:
    """Why what is written cannot go where it is to go."""
    path: Path | None = options.output
    problems = []
    if path is not None and (rule := _unwritable(path)):
        problems.append(Problem("--output", str(path), rule, "choose another file"))
    if options.log_probabilities and not options.json and path is None:
        rule, fix = "are written as JSON", "add --json or --output FILE"
        problems.append(Problem("--log-probabilities", None, rule, fix))
    return problems


def _unwritable(path: Path) -> str | None:
    """Why a new file cannot be made."""
    if os.path.lexists(path):
        return "there is such a file already"
    if not path.absolute().parent.is_dir():
        return f"{path.parent} is not a folder"
    writable = os.access(path.absolute().parent, os.W_OK | os.X_OK)
    return None if writable else f"nothing can be made in {path.parent}"
