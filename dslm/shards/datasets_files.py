"""The two files by which `datasets` opens a shard set as one of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dslm.files.whole import write_json
from dslm.shards.manifest import Manifest
from dslm.shards.shard_set import ShardSet
from dslm.shards.writer import schema

NAMES = {"float": "float32"}
"""What `datasets` calls Arrow types that have another name there."""


def write_datasets_files(folder: Path, manifest: Manifest) -> None:
    """What `datasets.load_from_disk` wants to find beside the shards."""
    import numpy as np

    labelled = any(batch.label_ends_at for shard in manifest.shards for batch in shard.batches)
    fields = schema(np.dtype(manifest.dtype), labelled=labelled)
    features = {field.name: _feature(str(field.type)) for field in fields}
    state: dict[str, object] = {
        "_data_files": [{"filename": shard.file} for shard in manifest.shards],
        "_fingerprint": ShardSet(folder, manifest).fingerprint[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    write_json(folder / "dataset_info.json", {"features": features})
    write_json(folder / "state.json", state)


def _feature(arrow_type: str) -> dict[str, Any]:
    """An Arrow type in the words of `datasets`."""
    if arrow_type.startswith("large_list<"):
        item = arrow_type.removeprefix("large_list<").removesuffix(">").split()[-1]
        return {"feature": _feature(item), "_type": "LargeList"}
    return {"dtype": NAMES.get(arrow_type, arrow_type), "_type": "Value"}
