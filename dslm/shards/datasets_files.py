"""The two files by which `datasets` opens a shard set as one of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dslm.files.whole import write_json
from dslm.shards.manifest import Manifest
from dslm.shards.shard_set import ShardSet
from dslm.shards.writer import schema


def write_datasets_files(folder: Path, manifest: Manifest) -> None:
    """What `datasets.load_from_disk` wants to find beside the shards."""
    import numpy as np

    features = {field.name: _feature(str(field.type)) for field in schema(np.dtype(manifest.dtype))}
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
    return {"dtype": arrow_type, "_type": "Value"}
