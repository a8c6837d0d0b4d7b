"""Let a trained model complete texts: ``generate RUN --prompt TEXT``, ``--prompts FILE``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

from dslm.commands.generate_options import check_output, options_parser, prompts_of, sampling_of
from dslm.commands.generate_output import as_json, dumped, heading, lines_to
from dslm.commands.kept import keep, used
from dslm.commands.model_options import selected
from dslm.commands.ranks import check_shared, together
from dslm.environment import World
from dslm.errors import UserError
from dslm.inference.prompt_file import Prompt
from dslm.inference.prompts import check_completion, check_prompts, mask_as_text
from dslm.inference.sampling import SamplingConfig
from dslm.objectives.completion import Continue
from dslm.progress import Progress
from dslm.run.results import add_sample

if TYPE_CHECKING:
    from dslm.inference.complete import Completed
    from dslm.inference.trained import Trained


def main(argv: list[str]) -> None:
    """Print or write each prompt completed as the model was trained to."""
    with together() as world:
        _generate(argv, world)


def _generate(argv: list[str], world: World) -> None:
    options, found = options_parser().parse_with_problems(argv)
    sampling = sampling_of(options, found)
    prompts = prompts_of(options, found)
    found.problems += check_output(options)
    model = selected(options, found)
    found.problems += check_shared(world, model, options)
    if model is not None:
        asked = model.config.model, model.objective, model.tokenizer
        found.problems += check_prompts(prompts, *asked, str(model.folder.path))
        if sampling is not None:
            measured = options.log_probabilities
            found.problems += check_completion(sampling, model.objective, measured=measured)
    if found.problems or model is None or sampling is None:
        raise UserError(*found.problems)
    notes = ((one.where, mask_as_text(one.text, model.objective)) for one in prompts)
    if (noted := next(((where, note) for where, note in notes if note), None)) is not None:
        print(f"warning: {noted[0]}: {noted[1]}", file=sys.stderr)

    from dslm.inference.trained import load_selected

    _write(load_selected(model, world), prompts, sampling, options)


def _write(
    trained: Trained, prompts: Sequence[Prompt], sampling: SamplingConfig, options: Namespace
) -> None:
    """Complete the prompts, and print, write and keep each as soon as it is there."""
    shown = _is_shown(trained, prompts, sampling, options)
    with lines_to(options.output) as file:
        for one in _completed(trained, prompts, sampling, options, shown):
            prompt = prompts[one.number].text
            line = as_json(one, prompt, trained.tokenizer, options.log_probabilities)
            if file is not None:
                file.write(dumped(line) + "\n")
            if options.json:
                print(dumped(line))
            elif file is None and not shown:
                print(*heading(one, len(prompts), sampling.samples), one.text, sep="\n")
            if options.prompts is None:
                most = options.max_new_tokens
                how = {"prompt": prompt, "max_new_tokens": most, **asdict(sampling)}
                how |= {"sample": one.sample, "text": one.text}
                keep(trained.run, add_sample, {**used(trained, options), **how})


def _completed(
    trained: Trained,
    prompts: Sequence[Prompt],
    sampling: SamplingConfig,
    options: Namespace,
    shown: bool,
) -> Iterator[Completed]:
    """Each prompt completed; if `shown`, the only one is printed while it is written."""
    from dslm.inference.complete import complete_all
    from dslm.inference.generate import Request

    request = Request(options.max_new_tokens, sampling, options.log_probabilities)
    if shown:
        request = replace(request, told=partial(print, end="", flush=True))
        yield from complete_all(trained, prompts, request)
        print()
        return
    count = len(prompts) * sampling.samples
    silent = count == 1 or (sys.stdout.isatty() and options.output is None)
    with nullcontext() if silent else Progress(count, "texts", "generating") as progress:
        if progress is not None:
            request = replace(request, ended=progress.advance)
        yield from complete_all(trained, prompts, request, options.batch)


def _is_shown(
    trained: Trained, prompts: Sequence[Prompt], sampling: SamplingConfig, options: Namespace
) -> bool:
    """Whether a text is printed while it is written: a single one, on a terminal."""
    single = len(prompts) == sampling.samples == sampling.beams == 1
    goes_on = isinstance(trained.objective.completion(), Continue)
    asked = options.json or options.output is not None
    return single and goes_on and not asked and sys.stdout.isatty()
