"""The offline stage from Python: files of text in, a tokenizer and shard sets out.

    from pathlib import Path

    from dslm.preprocess import api

    if __name__ == "__main__":  # because processes are started that import this script
        text = api.expand(["corpus"])
        api.train_tokenizer(text, Path("tok"), api.TokenizerConfig("unigram", 8000))
        shards, _ = api.shard(text, Path("shards"), api.ShardingConfig(Path("tok")))
        split = api.Split.read("train=98,validation=1,test=1")
        sharding = api.ShardingConfig(Path("tok"), split=split)
        sets, _ = api.shard_sets(text, Path("sets"), sharding)  # sets["train"], …

What becomes of shard sets is in `dslm.api`.
"""

from dslm.preprocess.read.inputs import expand
from dslm.preprocess.shard import shard, shard_sets
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.preprocess.work.split import Split

__all__ = [
    "ShardingConfig",
    "Split",
    "TokenizerConfig",
    "expand",
    "shard",
    "shard_sets",
    "train_tokenizer",
]
