"""The weights and moments that a checkpoint holds, any part of any of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from dslm.model.initial import Numbers
from dslm.run.checkpoint import layer_file
from dslm.run.tensor_file import TensorFile


def stored(folder: Path) -> Numbers:
    """Reads them from the folder of a checkpoint."""

    @lru_cache(maxsize=2)  # a layer's weights and its moments
    def opened(file: str) -> TensorFile:
        return TensorFile(folder / file)

    def read(name: str, start: int, stop: int) -> Tensor:
        file = layer_file(int(name.partition(".")[0]), moments="#" in name)
        return torch.from_numpy(opened(file).read(name, start, stop))

    return read
