"""The library from Python: trained models, shard sets and runs, under one name.

    from pathlib import Path

    from dslm import api

    model = api.load(Path("runs/a"))
    print(api.evaluate(model, api.ShardSet.open(Path("shards"))).perplexity)
    print(api.complete(model, "Once upon", 100, api.SamplingConfig(temperature=0.8)))

The other half, from text to shard sets, is `dslm.preprocess.api`. Training is started by
``launch/pretrain.py``, as a launcher must start the ranks. Every mistake is a `UserError`, which
lists all that is wrong. Importing this module imports torch. Any other module of the library may
change without notice.
"""

from dslm.errors import DslmError, Problem, TrainingError, UserError
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.complete import Completed, complete, complete_all
from dslm.inference.evaluate import Evaluation, evaluate
from dslm.inference.generate import Request
from dslm.inference.prompt_file import Prompt
from dslm.inference.sampling import SamplingConfig
from dslm.inference.selection import Calibration
from dslm.inference.trained import Trained, load
from dslm.quantization.config import QuantizationConfig
from dslm.report import write_report
from dslm.run.metrics import read_metrics
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer

__all__ = [
    "Calibration",
    "Completed",
    "DslmError",
    "Evaluation",
    "Problem",
    "Prompt",
    "QuantizationConfig",
    "Request",
    "SamplingConfig",
    "ShardSet",
    "Tokenizer",
    "Trained",
    "TrainingError",
    "UserError",
    "complete",
    "complete_all",
    "evaluate",
    "export_run",
    "import_folder",
    "load",
    "load_tokenizer",
    "read_metrics",
    "write_report",
]
