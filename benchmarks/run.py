"""Measure everything side by side with its peers: ``run.py [NAME …]``; writes docs/benchmarks.md.

With names it writes nothing unless ``--page`` is given, and then only their sections.

Each topic is a module of this folder with a function `measure`, and runs in a process of its own:
nothing that one loads or patches can slow another.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from measure import THREADS, Options, Table
from page import about_this_machine, refreshed

from dslm.commands.cli import Parser, script
from dslm.errors import Problem, UserError, suggest

TOPICS = {
    "startup": "startup",
    "engine": "engine_overhead",
    "between": "between_steps",
    "memory": "memory",
    "saving": "saving",
    "rounding": "rounding",
    "model": "model_speed",
    "compiled": "compiled_speed",
    "masked": "masked_speed",
    "recurrent": "recurrent",
    "windows": "windows",
    "tokenizing": "tokenizing",
    "character": "character_run",
    "duplicates": "near_duplicates",
    "duplicates-memory": "duplicates_memory",
    "languages": "languages",
    "addresses": "addresses",
    "reconstruction": "reconstruction",
    "fine-tuning": "fine_tuning",
    "folds": "folds",
    "published": "published_encoder",
    "written": "written_texts",
    "learning": "learning",
    "gpu": "on_gpu",
}
NEED_CORPORA = (
    "duplicates",
    "languages",
    "addresses",
    "reconstruction",
    "fine-tuning",
    "folds",
    "published",
    "written",
    "learning",
)
"""Topics about corpora that no machine has by itself."""
NEED_GPU = ("gpu",)
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main(argv: list[str]) -> None:
    """Measure the topics named, or all; all together make the page."""
    parser = Parser("run.py", f"Measure ours against peers. Topics: {', '.join(TOPICS)}.")
    parser.add_argument("names", metavar="NAME", nargs="*", help="topics; all when left out")
    parser.add_argument("--text", type=Path, metavar="FILE", help="text of the character model")
    parser.add_argument("--nanogpt", type=Path, metavar="FOLDER", help="a checkout of nanoGPT")
    parser.add_argument("--corpora", type=Path, metavar="FOLDER", help="corpora of the claims")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keeps what takes long")
    parser.add_argument("--page", action="store_true", help="put the topics named into the page")
    options = parser.parse_args(argv)
    if wrong := _problems(options):
        raise UserError(*wrong)
    chosen = options.names or _possible(options.corpora)
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    os.environ["PYTHONWARNINGS"] = "ignore"  # the libraries' own, at every step
    tables: dict[str, Table] = {}
    for name in chosen:
        taken = Options(options.text, options.nanogpt, options.corpora or Path(), options.keep)
        tables[name] = _measure(TOPICS[name], taken)
        print(_text(tables[name]), flush=True)
    if options.page or not options.names:
        before = PAGE.read_text(encoding="utf-8")
        after = refreshed(before, tables)
        PAGE.write_text(after if options.names else about_this_machine(after), encoding="utf-8")
        print(f"written: {PAGE.name}", file=sys.stderr)


def _possible(corpora: Path | None) -> list[str]:
    """All topics for which there is what they need."""
    without = set() if _gpu() else set(NEED_GPU)
    without |= set() if corpora else set(NEED_CORPORA)
    return [name for name in TOPICS if name not in without]


def _gpu() -> bool:
    import torch  # here alone: every topic's process imports this module again

    return torch.cuda.is_available()


def _problems(options: argparse.Namespace) -> list[Problem]:
    names, text, nanogpt = options.names, options.text, options.nanogpt
    topics = ", ".join(TOPICS)
    problems = [
        Problem("NAME", name, "there is no such topic", suggest(name, TOPICS, f"use {topics}"))
        for name in names
        if name not in TOPICS
    ]
    if options.corpora is None:
        needing = [name for name in names if name in NEED_CORPORA]
        problems += [Problem("--corpora", None, f"is required for {name}") for name in needing]
    problems += [
        Problem("NAME", name, "needs a GPU, and there is none", "leave it out")
        for name in names
        if name in NEED_GPU and not _gpu()
    ]
    if text is not None and not text.is_file():
        problems.append(Problem("--text", str(text), "no such file"))
    if nanogpt is not None and not (nanogpt / "configurator.py").is_file():
        problems.append(Problem("--nanogpt", str(nanogpt), "holds no checkout of nanoGPT"))
    return problems


def _measure(module: str, options: Options) -> Table:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as process:
        return process.submit(_topic, module, options).result()


def _topic(module: str, options: Options) -> Table:
    """Measure a topic, in its own process."""
    table: Table = importlib.import_module(module).measure(options)
    return table


def _text(table: Table) -> str:
    """A table as it is printed."""
    lines = [table.title, f"  {table.setting}"]
    for row in table.rows:
        figures = f"{row.ours:>22} {row.peer:>22} {row.ratio:>8}  {row.wanted}"
        lines.append(f"  {row.claim:<48}{figures}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    script(main)
