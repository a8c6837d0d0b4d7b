"""The speed and the memory use of a rank's device."""

from __future__ import annotations

import resource

import torch

from dslm.parallel.cpu_speed import fastest
from dslm.parallel.devices import find_device

PATIENCE = 0.1
"""Seconds spent on measuring a CPU; many have no 16-bit arithmetic and take long for a product."""


def peak_flops(device: str, half: bool) -> float | None:
    """The device's peak in operations a second, from which a run's MFU follows.

    A GPU's peak is its maker's figure for the precision of the run; a CPU's is measured with a
    large matrix product, as threads and other processes count. `None` if unknown.
    """
    if device.startswith("cuda"):
        return peak_of_gpu(torch.cuda.get_device_name(device), half)
    return _measure(512, torch.bfloat16 if half else torch.float32)


def peak_of_gpu(name: str, half: bool) -> float | None:
    """The peak of a GPU in operations a second, by the name that torch gives it."""
    known = find_device(name)
    return None if known is None else known.half if half else known.single


def gpu(device: str) -> tuple[str, tuple[int, int]]:
    """The name of a GPU and its compute capability."""
    return torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device)


def memory_gib(device: str) -> float:
    """The most memory this rank has held so far, in GiB: of the GPU, or of the process on a CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _measure(size: int, dtype: torch.dtype) -> float:
    matrix = torch.ones(size, size, dtype=dtype)
    return 2 * size**3 / fastest(lambda: torch.mm(matrix, matrix), PATIENCE)
