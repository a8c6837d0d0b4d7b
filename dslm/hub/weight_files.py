"""Which files of a folder hold its weights; found without torch.

Weights lie in ``model.safetensors`` or ``pytorch_model.bin``, or in several such files with an
index that says which tensor is where.
"""

from __future__ import annotations

from pathlib import Path

from dslm.errors import CheckpointError, Problem
from dslm.files.whole import read_json

KINDS = {".safetensors": "model", ".bin": "pytorch_model"}
"""What weight files end with, and how the name of an index begins."""

AGAIN = "get the file again"


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a folder; safetensors where there are both kinds.

    Raises:
        UserError: there are none, or not all of them can be told.
    """
    for suffix, stem in KINDS.items():
        index = folder / f"{stem}{suffix}.index.json"
        files = sorted(folder.glob(f"*{suffix}"))
        named = folder / f"{stem}{suffix}"
        if named in files:
            return [named]
        if index.is_file():
            return _listed(index)
        if len(files) == 1:
            return files
        if files:
            rule = f"holds {len(files)} {suffix} files without {index.name}"
            raise CheckpointError(Problem(str(folder), None, rule, "get that file as well"))
    fix = "it must have model.safetensors or pytorch_model.bin"
    raise CheckpointError(Problem(str(folder), None, "holds no weights", fix))


def _listed(index: Path) -> list[Path]:
    """The files that an index names, which must lie beside it."""
    listed = read_json(index).get("weight_map")
    names = set(map(str, listed.values())) if isinstance(listed, dict) else set()
    if not names:
        raise CheckpointError(Problem(str(index), None, "lists no weights", AGAIN))
    strange = [name for name in sorted(names) if Path(name).name != name]
    if strange:
        rule = "names files that are not beside it"
        raise CheckpointError(*(Problem(str(index), name, rule) for name in strange))
    return [index.with_name(name) for name in sorted(names)]
