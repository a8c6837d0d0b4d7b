"""Try what a run survives: ``chaos PRESET --deepspeed_config FILE key=value …``."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dslm.chaos.bench import Bench
from dslm.chaos.fault import Orders, install
from dslm.chaos.rows import ROWS, Row
from dslm.chaos.table import Outcome, line, markdown, summary, tried
from dslm.commands.cli import Parser, script, typed_path
from dslm.commands.main import dispatch
from dslm.commands.run_option import SETTINGS
from dslm.environment import World, read_world
from dslm.errors import ConfigError, Problem, TrainingError
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.train.prepare import Job, prepare

DESCRIPTION = """\
Let faults happen to a run on two CPU ranks, and see what it survives, before a cluster is rented.

  dslm chaos                                              a tiny model on made-up text
  dslm chaos PRESET --deepspeed_config FILE key=value …   your own run, 20 steps of it

Exit codes: 0 everything was survived, 1 something was not, 2 a mistake in the command.
"""

SMALL = {
    "train_micro_batch_size_per_gpu": 2,
    "gradient_accumulation_steps": 2,
    "gradient_clipping": 1.0,
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}},
    "zero_optimization": {"stage": 1},
}
SHAPE = ["tiny", "model.width=32", "model.layers=2", "model.heads=2", "model.sequence=32"]


def main(argv: list[str]) -> None:
    """Run the rows one after the other, print the table."""
    if argv[:1] == ["--rank"]:
        install(Orders.of(argv[1]), read_world().rank)
        dispatch(["pretrain", *argv[2:]])
        return
    parser = Parser("dslm chaos", DESCRIPTION, "dslm chaos --only 1a 12")
    parser.add_argument("words", metavar="PRESET key=value", nargs="*")
    own = "DeepSpeed's JSON (default: one of its own)"
    parser.add_argument("--deepspeed_config", metavar="FILE", help=own)
    parser.add_argument("--config", metavar="FILE", help=SETTINGS)
    parser.add_argument("--only", metavar="ROW", nargs="+", help="rows of the table (default: all)")
    kept = "folder for the runs, kept in the end (default: a temporary one)"
    parser.add_argument("--output", metavar="DIR", type=typed_path, help=kept)
    also = "also write the table there (default: nowhere)"
    parser.add_argument("--markdown", type=typed_path, metavar="FILE", help=also)
    options = parser.parse_args(argv)
    chosen = _chosen(options.only)
    folder = (options.output or Path(tempfile.mkdtemp(prefix="dslm-chaos-"))).absolute()
    if folder.exists() and any(folder.iterdir()):
        rule, fix = "is not empty", "choose another --output"
        raise ConfigError(Problem("--output", str(folder), rule, fix))
    words, deepspeed = options.words, options.deepspeed_config
    if not words and not options.config:
        words, deepspeed = _small(folder)
    bench = _bench(folder, words, options.config, deepspeed)
    try:
        outcomes = _try(bench, chosen)
    finally:
        bench.close()
    print(summary(outcomes))
    if options.markdown:
        options.markdown.write_text(markdown(outcomes), encoding="utf-8")
    lost = [outcome for outcome in outcomes if outcome.verdict != "survived"]
    if lost:
        raise TrainingError(f"rows {', '.join(o.key for o in lost)}: see {folder}")
    if options.output is None:
        shutil.rmtree(folder)


def _try(bench: Bench, chosen: Sequence[Row]) -> list[Outcome]:
    print("the run undisturbed …", file=sys.stderr, flush=True)
    once = bench.reference.seconds
    print(f"took {once:.0f} s; {len(chosen)} rows follow, about twice that each", file=sys.stderr)
    outcomes = []
    for row in chosen:
        outcomes.append(tried(row, bench))
        print(line(outcomes[-1]), flush=True)
    return outcomes


def _chosen(only: Sequence[str] | None) -> list[Row]:
    known = {row.key: row for row in ROWS}
    rule, fix = "there is no such row", f"use {', '.join(known)}"
    wrong = [Problem("--only", key, rule, fix) for key in only or () if key not in known]
    if wrong:
        raise ConfigError(*wrong)
    return [known[key] for key in only or known]


def _bench(folder: Path, words: Sequence[str], config: str | None, deepspeed: str | None) -> Bench:
    """The user's run, checked as it would be before it starts.

    Raises:
        UserError: with every mistake in it.
    """
    world = World(size=Bench.RANKS, local_size=Bench.RANKS, launcher="deepspeed")
    job: Job = prepare([*words, f"run={folder / 'run'}"], config, deepspeed, world)
    stages = job.config.pipeline_stages
    plan = job.plan
    return Bench(folder, words, config, job.deepspeed, plan.micro_batch, stages, plan.replicas)


def _small(folder: Path) -> tuple[list[str], str]:
    """A small run of the command's own: its words and the path of its DeepSpeed JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    text, tokenizer, file = folder / "text.txt", folder / "tokenizer", folder / "zero1.json"
    text.write_text(" ".join(f"{n} plus {n} is {2 * n}." for n in range(2000)))
    train_tokenizer([text], tokenizer, TokenizerConfig("char", None))
    shard([text], folder / "shards", ShardingConfig(tokenizer))
    file.write_text(json.dumps(SMALL))
    return [*SHAPE, f"data.train={folder / 'shards'}"], str(file)


if __name__ == "__main__":
    script(main)
