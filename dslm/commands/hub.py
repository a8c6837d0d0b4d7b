"""``dslm hub import|export``: models in Hugging Face's form, in and out."""

from __future__ import annotations

from collections.abc import Callable

from dslm.commands.cli import Parser, run_verb, typed_path
from dslm.commands.model_options import selected
from dslm.commands.rounding import add_rounding, calibration, rounding
from dslm.commands.run_option import add_run, add_step
from dslm.errors import UserError
from dslm.hub.foresight import check_adapters, check_format, check_model_folder, check_unoccupied
from dslm.hub.formats import FORMATS
from dslm.progress import Progress

HELD = "; ".join(f"{name}: {holds}" for name, (_, holds) in FORMATS.items())
DESCRIPTION = """\
Models in Hugging Face's form, without its libraries and without running anybody's code.

  dslm hub import FOLDER RUN    GPT-2, Llama, Mixtral, BERT, T5, BART … as the folder of a run, also
                                models of tasks, and BERT without a head
  dslm hub export RUN FOLDER    a run as transformers, vLLM or llama.cpp load it, its loss compared
"""


def main(arguments: list[str]) -> None:
    """Run the verb that the first argument names."""
    run_verb("dslm hub", DESCRIPTION, VERBS, arguments)


def _import(arguments: list[str]) -> None:
    purpose, example = "Make a run of a model in Hugging Face's form.", "exported runs/imported"
    parser = Parser("dslm hub import", purpose, f"dslm hub import {example}")
    model = "config, weights, tokenizer"
    parser.add_argument("folder", metavar="FOLDER", type=typed_path, help=model)
    parser.add_argument("run", metavar="RUN", type=typed_path, help="the folder to make")
    options, found = parser.parse_with_problems(arguments)
    if options.run is not None:
        found.problems += check_unoccupied(options.run, "RUN")
    if options.folder is not None:
        found.collect(check_model_folder, options.folder)
    if found.problems:
        raise UserError(*found.problems)

    from dslm.hub.import_screen import lines
    from dslm.hub.importing import import_folder

    with Progress(1, "B", "importing") as progress:
        folder = import_folder(options.folder, options.run, progress.reach)
    print(*lines(folder, options.run), sep="\n")


def _export(arguments: list[str]) -> None:
    purpose, example = "Write a run's model as transformers loads it.", "runs/a exported"
    parser = Parser("dslm hub export", purpose, f"dslm hub export {example}")
    add_run(parser)
    parser.add_argument("folder", metavar="FOLDER", type=typed_path, help="the folder to make")
    add_step(parser)
    add_rounding(parser)
    parser.add_argument("--format", choices=FORMATS, default="floats", help=HELD)
    alone = "only the adapters of a run with lora.rank, as peft loads them onto its base"
    parser.add_argument("--peft", action="store_true", help=alone)
    options, found = parser.parse_with_problems(arguments)
    if options.folder is not None:
        found.problems += check_unoccupied(options.folder, "FOLDER")
    model = selected(options, found)
    if model is not None and options.peft:
        found.problems += check_adapters(model)
    elif model is not None and options.format is not None:
        found.problems += check_format(model, options.format)
    if found.problems:
        raise UserError(*found.problems)

    if options.peft:
        from dslm.hub.peft_folder import export_adapters

        made = export_adapters(options.run, options.folder, options.step)
        print(f"written  {options.folder} · adapters of {made.maps} maps, step {made.step:,}")
        print("next:", f"  {made.load}", sep="\n")
        return

    from dslm.hub.export_screen import lines
    from dslm.hub.exporting import export_run

    exported = export_run(
        options.run,
        options.folder,
        options.step,
        rounding(options),
        options.format,
        calibration(options),
    )
    print(*lines(exported, options.folder), sep="\n")


VERBS: dict[str, Callable[[list[str]], None]] = {"import": _import, "export": _export}
