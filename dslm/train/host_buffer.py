"""A copy of tensors in host memory, in which they stay while the originals change."""

from __future__ import annotations

import torch
from torch import Tensor


class HostBuffer:
    """Memory that is kept from one checkpoint to the next: to get it anew costs more than to copy.

    It is page-locked for tensors on a GPU, so that the GPU itself writes to it.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def copy(self, name: str, tensor: Tensor) -> Tensor:
        """A float32 copy of a tensor, valid until the next one under this name.

        Args:
            name: of the tensor, which has the same shape at all times.
            tensor: of any floating-point type, on any device.
        """
        if name not in self._kept:
            self._kept[name] = torch.empty(
                tensor.shape, dtype=torch.float32, pin_memory=tensor.is_cuda
            )
        return self._kept[name].copy_(tensor.detach())
