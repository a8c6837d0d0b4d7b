"""What is said when a trained model cannot be used, or not with some shards."""

from __future__ import annotations

from pathlib import Path

from dslm.errors import CheckpointError, DataError, Problem
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.tokenizer import Tokenizer


def lost(what: str) -> CheckpointError:
    """The error of a model whose numbers are not finite.

    Args:
        what: what shows it.
    """
    rule = f"{what}: the run had diverged"
    return CheckpointError(Problem("the model", None, rule, "use an earlier checkpoint (--step)"))


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
