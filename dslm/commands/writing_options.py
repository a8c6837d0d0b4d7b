"""The options by which a model of a task writes texts that are measured; without torch."""

from __future__ import annotations

from argparse import Namespace

from dslm.commands.cli import Parser
from dslm.errors import Problem, Problems
from dslm.inference.sampling import SamplingConfig, WritingConfig, check_sampling
from dslm.tasks.base import Task

USUAL = WritingConfig()
NAMES = ("max_new_tokens", "beams", "length_penalty", "stop", "batch")
"""The options, as a program calls them."""


def add_writing(parser: Parser) -> None:
    """Add how many tokens are written, and how they are found: the likeliest, or by beams."""
    group = parser.add_argument_group("what is written, of a task whose answers are texts")
    most = f"how many tokens at most (default: {USUAL.new_tokens})"
    group.add_argument("--max-new-tokens", metavar="N", type=int, help=most)
    number = "beam search: follow this many texts to find the likeliest (default: 1, none)"
    group.add_argument("--beams", metavar="N", type=int, help=number)
    power = "above 0 a beam search favours longer texts, below 0 shorter ones (default: 1)"
    group.add_argument("--length-penalty", metavar="A", type=float, help=power)
    until = "end before this string; may be repeated (default: none)"
    group.add_argument("--stop", metavar="TEXT", action="append", help=until)
    together = f"texts that are written at once (default: {USUAL.together})"
    group.add_argument("--batch", metavar="N", type=int, help=together)


def writing(options: Namespace, task: Task | None, found: Problems) -> WritingConfig:
    """What the options ask for; what is wrong with them is noted."""
    given = {name: value for name in NAMES if (value := getattr(options, name)) is not None}
    if given and not (task and task.writes):
        rule = "is for a task whose answers are texts, such as text_to_text"
        typed = ((f"--{name.replace('_', '-')}", value) for name, value in given.items())
        found.problems += [Problem(name, value, rule, "leave it out") for name, value in typed]
        return USUAL
    sampling = SamplingConfig(
        temperature=0.0,
        beams=given.get("beams", 1),
        length_penalty=given.get("length_penalty", 1.0),
        stop=tuple(given.get("stop", ())),
    )
    together, most = given.get("batch", USUAL.together), given.get("max_new_tokens")
    found.problems += check_sampling(sampling, most or 0)
    for name, count in (("--batch", together), ("--max-new-tokens", most)):
        if count is not None and count < 1:
            found.problems.append(Problem(name, count, "must be at least 1", "leave it out"))
    return WritingConfig(sampling, USUAL.new_tokens if most is None else most, together)
