"""``dslm COMMAND …``: every command under one name."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable
from contextlib import nullcontext

from dslm import __version__
from dslm.commands.cli import run
from dslm.errors import ConfigError, Problem, suggest
from dslm.run.versions import installed
from dslm.signals import REQUESTS

COMMANDS = {
    "builtin-corpus": "gather text that every machine already has",
    "train-tokenizer": "make a tokenizer of text",
    "shard": "turn text into shards that training reads",
    "data": "look into a shard set, or change it",
    "check": "what a run would take, and which layouts fit",
    "profile": "where the time of a training step goes",
    "migrate": "rewrite DeepSpeed's JSON of older versions and of other trainers",
    "pretrain": "train a model",
    "fine-tune": "train a model for a task, on labelled records",
    "evaluate": "measure a trained model on held-out text",
    "generate": "let a trained model continue a text",
    "inspect": "look inside a model: attention, what it gives away, what it prefers",
    "quantization": "what rounding to few bits costs a model, and which layer most",
    "hub": "models in Hugging Face's form, in and out",
    "report": "write the page about a run, or about several",
    "runs": "all runs of a folder in one table, or page",
    "checkpoint": "which checkpoints a run has, whether they are whole, and which may go",
    "submit": "check a run and submit it to SLURM",
    "status": "say how a run stands",
    "hosts": "check all hosts of a run before it starts",
    "chaos": "let faults happen to a run, and see what it survives",
    "doctor": "check whether this machine is ready",
}
"""The commands: their modules' names, with ``-`` for ``_``, and what each is for."""


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(dispatch, sys.argv[1:]))


def command(name: str) -> Callable[[list[str]], None]:
    """The command of a name, loaded only when it runs: by then an interruption is handled."""
    return lambda arguments: dispatch([name, *arguments])


def dispatch(argv: list[str]) -> None:
    """Run the command that the first argument names."""
    if not argv or argv[0] in ("-h", "--help"):
        listed = "\n".join(f"  {name:<17}{purpose}" for name, purpose in COMMANDS.items())
        more = "More: dslm COMMAND --help, dslm --version"
        print(f"usage: dslm COMMAND …\n\n{listed}\n\n{more}")
        return
    if argv[0] == "--version":
        print(" · ".join(f"{name} {version}" for name, version in _versions().items()))
        return
    if argv[0] not in COMMANDS:
        fix = suggest(argv[0], COMMANDS, f"choose from {', '.join(COMMANDS)}")
        raise ConfigError(Problem("dslm", argv[0], "there is no such command", fix))
    # A run is stopped by signals in good order, also by one that comes while its code is loaded.
    trains = argv[0] in ("pretrain", "fine-tune")
    with REQUESTS.caught() if trains else nullcontext():
        module = importlib.import_module(f"dslm.commands.{argv[0].replace('-', '_')}")
        module.main(argv[1:])


def _versions() -> dict[str, str]:
    """The versions that a report of a fault should name; nothing is imported for them."""
    libraries = {name: installed(name) or "none" for name in ("torch", "deepspeed")}
    return {"dslm": __version__, **libraries, "python": platform.python_version()}
