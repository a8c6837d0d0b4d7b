"""What is said when a trained model cannot be used, or not with some shards."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dslm.errors import CheckpointError, DataError, Problem
from dslm.run.checkpoint import checkpoints, verify_sizes
from dslm.run.folder import UNTRAINED, RunFolder
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.tokenizer import Tokenizer


def lost(what: str) -> CheckpointError:
    """The error of a model whose numbers are not finite.

    Args:
        what: what shows it.
    """
    rule = f"{what}: the run had diverged"
    return CheckpointError(Problem("the model", None, rule, "use an earlier checkpoint (--step)"))


def check_trained(folder: RunFolder) -> None:
    """That no weights of a run were drawn by the import that made it.

    Raises:
        CheckpointError: some were, so that its outputs mean nothing.
    """
    if not (names := folder.read().get(UNTRAINED)):
        return
    rule = f"has an untrained head: the imported folder had none ({names[0]} and others)"
    run = shlex.quote(folder.path.as_posix())
    fix = f"train it first: python launch/fine_tune.py {run} --task classification …"
    raise CheckpointError(Problem(str(folder.path), None, rule, fix))


def mended(folder: RunFolder, step: int, problems: Sequence[Problem]) -> list[Problem]:
    """What is wrong with a checkpoint, with what to do about it.

    Args:
        folder: of the run.
        step: of the checkpoint.
        problems: its damage.
    """
    if not problems:
        return []
    run = shlex.quote(folder.path.as_posix())
    fix = f"dslm checkpoint verify {run} looks for all damage"
    for other, path in checkpoints(folder.checkpoints):
        with suppress(CheckpointError):  # of another version
            if other != step and not verify_sizes(path, moments=False):
                fix = f"use --step {other}; {fix}"
                break
    return [replace(problem, fix=fix) for problem in problems]


def check_language(run: Path, tokenizer: Tokenizer, shards: ShardSet) -> None:
    """That shards are of a model's tokenizer, and hold something to predict.

    Raises:
        DataError: they are not, or do not.
    """
    where = str(shards.folder)
    if rule := shards.unlike(tokenizer.sha256, tokenizer.begin, "the model's"):
        fix = f"shard the text with --tokenizer {run / 'tokenizer'}"
        raise DataError(Problem(where, None, rule, fix))
    if shards.tokens < 2:
        raise DataError(Problem(where, None, "holds no two tokens, so nothing to predict"))
