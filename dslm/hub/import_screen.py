"""What a user reads about an import: what was found, what was not, and what to do with the run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from dslm.hub.folder import Folder
from dslm.hub.importing import absent
from dslm.model.counts import parameter_count
from dslm.progress import counted


def lines(folder: Folder, run: Path) -> Iterator[str]:
    """The last screen of an import.

    Args:
        folder: what was imported.
        run: the folder that was made.
    """
    quoted, task = shlex.quote(run.as_posix()), folder.family.task
    yield f"{run}: {folder.family.name}, {parameter_count(folder.config):,} parameters"
    if names := absent(folder):
        yield f"not in {folder.path}, so drawn: {counted(len(names), 'tensor')} of the head"
        yield from (f"  {name}" for name in names)
        yield "  nobody has trained that head: others can begin with the run, it is not used itself"
    yield "next:"
    if task:
        yield f"  python launch/evaluate.py {quoted} --data test.jsonl"
    if task or names:
        yield f"  python launch/fine_tune.py {quoted} --task {task or 'classification'} \\"
        yield "      --deepspeed_config ds_configs/zero1_fp32.json data.train=train.jsonl \\"
        yield "      run=runs/fine"
        return
    causal = folder.config.attention == "causal"
    asked = '"The" --max-new-tokens 100' if causal else '"The <mask>"'
    yield f"  python launch/generate.py {quoted} --prompt {asked}"
    yield f"  python preprocess/shard.py --input 'corpus/*.txt' --tokenizer {quoted}/tokenizer \\"
    yield "      --output shards/train"
    yield "  python launch/pretrain.py fine_tune --deepspeed_config ds_configs/zero1_fp32.json \\"
    yield f"      init_from={quoted} data.train=shards/train run=runs/fine"
