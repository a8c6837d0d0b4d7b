"""The library from Python: what the commands call, under one name.

    from pathlib import Path

    from dslm import api

    if __name__ == "__main__":  # because processes are started that import this script
        text = api.expand(["corpus"])
        api.train_tokenizer(text, Path("tok"), api.TokenizerConfig("unigram", 8000))
        shards, _ = api.shard(text, Path("shards"), api.ShardingConfig(Path("tok")))
        model = api.load(Path("runs/a"))
        print(api.evaluate(model, shards).perplexity)
        print(api.complete(model, "Once upon", 100, api.SamplingConfig(temperature=0.8)))

Training is started by ``launch/pretrain.py``, as a launcher must start the ranks. Every mistake is
a `UserError`, which lists all that is wrong. Importing this module imports torch. Any other module
of the library may change without notice.
"""

from dslm.errors import DslmError, Problem, TrainingError, UserError
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.complete import complete
from dslm.inference.evaluate import Evaluation, evaluate
from dslm.inference.generate import SamplingConfig
from dslm.inference.trained import Trained, load
from dslm.preprocess.read.inputs import expand
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.report import write_report
from dslm.run.metrics import read_metrics
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer

__all__ = [
    "DslmError",
    "Evaluation",
    "Problem",
    "SamplingConfig",
    "ShardSet",
    "ShardingConfig",
    "Tokenizer",
    "TokenizerConfig",
    "Trained",
    "TrainingError",
    "UserError",
    "complete",
    "evaluate",
    "expand",
    "export_run",
    "import_folder",
    "load",
    "load_tokenizer",
    "read_metrics",
    "shard",
    "train_tokenizer",
    "write_report",
]
