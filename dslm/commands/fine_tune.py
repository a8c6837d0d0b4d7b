"""Train a model for a task: ``fine_tune START --task KIND data.train=FILE … run=RUN``.

Files of labelled records become shard sets within the run's folder, made by the first rank alone;
what follows is a run like any other, of the preset ``fine_tune``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dslm.commands import pretrain
from dslm.commands.cli import Parser
from dslm.commands.pretrain_options import without_rank
from dslm.environment import read_world
from dslm.errors import DataError, Problem, Problems, UserError
from dslm.run.config import RunConfig
from dslm.run.folder import RunFolder
from dslm.run.init_from import open_source_run
from dslm.run.settings import settings
from dslm.shards.labels import task_of
from dslm.shards.manifest import FILE
from dslm.shards.shard_set import ShardSet
from dslm.tasks.coder import Coder
from dslm.tasks.example_set import Labelling, example_set, summary
from dslm.tasks.registry import TASKS
from dslm.tokenizers.load import load_tokenizer
from dslm.train.words import sorted_words

KEYS = ("data.train", "data.validation")
MINUTES = 10
"""How long other ranks wait for the first one's examples."""


def main(argv: list[str]) -> None:
    """Make examples of the files, then train on them."""
    if {"-h", "--help"} & set(argv):
        _parser().parse_args(["--help"])
    start, task, rest = _split(without_rank(argv))
    words = ["fine_tune", f"init_from={start}", f"objective.kind={task}", *rest]
    files = _files(words)
    config = _config(words) if files else None
    if config is not None:  # else training says what is wrong
        words = _with_sets(words, _sets(config, files))
    pretrain.main(words)


def _parser() -> Parser:
    parser = Parser(
        "fine_tune.py",
        "Train a model for a task; whatever else pretrain.py takes is taken as well.",
        "python launch/fine_tune.py runs/a data.train=train.jsonl run=runs/b --task classification "
        "\\\n      --deepspeed_config ds_configs/zero1_fp32.json",
    )
    parser.add_argument("start", metavar="RUN", help="a run, trained or imported")
    parser.add_argument("--task", choices=[*TASKS], required=True, help="what is to be learned")
    parser.add_argument("words", metavar="key=value", nargs="*", default=[], help="settings")
    ours = "DeepSpeed's JSON (required)"
    parser.add_argument("--deepspeed_config", metavar="FILE", help=ours)
    return parser


def _split(argv: Sequence[str]) -> tuple[str, str, list[str]]:
    """The run to begin with, which comes first, the task, and everything that is for training."""
    start = [word for word in argv[:1] if not word.startswith("-") and "=" not in word]
    rest, named = list(argv[len(start) :]), list[str]()
    for place, word in enumerate(rest):
        if word.partition("=")[0] == "--task":
            end = place + (1 if "=" in word else 2)
            named, rest = rest[place:end], rest[:place] + rest[end:]
            break
    found = _parser().parse_args([*start, *named])
    return found.start, found.task, rest


def _files(words: Sequence[str]) -> dict[str, Path]:
    """The files of labelled records among the words, by their keys."""
    typed = [word.partition("=") for word in words]
    found = {key: Path(path).expanduser() for key, _, path in typed if key in KEYS}
    return {key: path for key, path in found.items() if path.is_file()}


def _config(words: Sequence[str]) -> RunConfig | None:
    """The settings, if they are right."""
    own = [word for word in words if not word.startswith("-")]
    try:
        return settings(sorted_words(own, Problems())[0], None)
    except UserError:
        return None


def _sets(config: RunConfig, files: dict[str, Path]) -> dict[str, Path]:
    """The shard sets of the files: made by the first rank, waited for by the others."""
    folders = {key: RunFolder(Path(config.run)).examples / key.rpartition(".")[2] for key in files}
    if not read_world().is_main:
        for folder in folders.values():
            _wait(folder)
        return folders
    assert config.init_from is not None
    tokenizer = load_tokenizer(open_source_run(config.init_from).tokenizer)
    model, two_stacks = config.model, config.model.encoder_layers > 0
    coder = Coder(tokenizer, model.attention == "full", model.sequence, two_stacks=two_stacks)
    classes = None if "data.train" in files else _classes(config)
    for key in sorted(files, key=KEYS.index):
        how = Labelling(TASKS[config.objective.kind], config.objective.settings, coder, classes)
        shards = example_set(files[key], folders[key], how)
        classes = task.classes if (task := task_of(shards)) else None
        print(*summary(files[key], shards), sep="\n", file=sys.stderr)
    return folders


def _classes(config: RunConfig) -> tuple[str, ...] | None:
    """The classes of the shard set that is trained on."""
    folder = Path(str(config.data.train))
    task = task_of(ShardSet.open(folder)) if (folder / FILE).exists() else None
    return task.classes if task else None


def _wait(folder: Path) -> None:
    """Until the first rank has made a shard set."""
    end = time.monotonic() + 60 * MINUTES
    while not (folder / FILE).exists():
        if time.monotonic() > end:
            rule = f"the first rank has not made it within {MINUTES} minutes"
            raise DataError(Problem(str(folder), None, rule, "see what it says"))
        time.sleep(0.1)


def _with_sets(words: Sequence[str], folders: dict[str, Path]) -> list[str]:
    """The words with shard sets in place of files."""
    changed = {key: f"{key}={folder}" for key, folder in folders.items()}
    return [changed.get(word.partition("=")[0], word) for word in words]
