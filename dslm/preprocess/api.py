"""The offline stage from Python: files of text in, a tokenizer and shard sets out.

    from pathlib import Path

    from dslm.preprocess import api

    if __name__ == "__main__":  # because processes are started that import this script
        text = api.expand(["corpus"])
        api.train_tokenizer(text, Path("tok"), api.TokenizerConfig("unigram", 8000))
        shards, _ = api.shard(text, Path("shards"), api.ShardingConfig(Path("tok")))

What becomes of shard sets is in `dslm.api`.
"""

from dslm.preprocess.read.inputs import expand
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig

__all__ = ["ShardingConfig", "TokenizerConfig", "expand", "shard", "train_tokenizer"]
