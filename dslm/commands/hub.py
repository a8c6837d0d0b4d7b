"""``dslm hub import|export``: models in Hugging Face's form, in and out."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from dslm.commands.cli import Parser, run_verb
from dslm.commands.rounding import add_rounding, calibration, rounding
from dslm.hub.formats import FORMATS
from dslm.progress import Progress

HELD = "; ".join(f"{name}: {holds}" for name, (_, holds) in FORMATS.items())
DESCRIPTION = """\
Models in Hugging Face's form, without its libraries and without running anybody's code.

  dslm hub import FOLDER RUN    GPT-2, Llama, BERT, OPT and GPTBigCode as the folder of a run
  dslm hub export RUN FOLDER    a run as transformers, vLLM or llama.cpp load it, its loss compared
"""


def main(arguments: list[str]) -> None:
    """Run the verb that the first argument names."""
    run_verb("dslm hub", DESCRIPTION, VERBS, arguments)


def _import(arguments: list[str]) -> None:
    parser = Parser("dslm hub import", "Make a run of a model in Hugging Face's form.")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="config, weights, tokenizer")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder to make")
    options = parser.parse_args(arguments)

    from dslm.hub.importing import import_folder
    from dslm.model.counts import parameter_count

    with Progress(1, "B", "importing") as progress:
        folder = import_folder(options.folder, options.run, progress.reach)
    run = shlex.quote(options.run.as_posix())
    print(f"{options.run}: {folder.family.name}, {parameter_count(folder.config):,} parameters")
    print("next:")
    asked = '"The" --max-new-tokens 100' if folder.config.attention == "causal" else '"The <mask>"'
    print(f"  python launch/generate.py {run} --prompt {asked}")
    print(f"  python preprocess/shard.py --input 'corpus/*.txt' --tokenizer {run}/tokenizer \\")
    print("      --output shards/train")
    print("  python launch/pretrain.py fine_tune --deepspeed_config ds_configs/zero1_fp32.json \\")
    print(f"      init_from={run} data.train=shards/train run=runs/fine")


def _export(arguments: list[str]) -> None:
    parser = Parser("dslm hub export", "Write a run's model as transformers loads it.")
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of the run")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to make")
    parser.add_argument("--step", type=int, help="which checkpoint; the newest unless given")
    add_rounding(parser)
    parser.add_argument("--format", choices=FORMATS, default="floats", help=HELD)
    options = parser.parse_args(arguments)

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
