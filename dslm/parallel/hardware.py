"""The speed and the memory use of a rank's device."""

from __future__ import annotations

import resource
import time

import torch

PEAKS = {
    "V100": 125e12,
    "A100": 312e12,
    "A800": 312e12,
    "H100": 989e12,
    "H200": 989e12,
    "H800": 989e12,
    "B200": 2250e12,
    "A40": 150e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense 16-bit floating-point operations a second, as the makers state them."""

PATIENCE = 0.1
"""Seconds spent on measuring a CPU; many have no 16-bit arithmetic and take long for a product."""


def peak_flops(device: str, half: bool) -> float | None:
    """The device's peak in operations a second, from which a run's MFU follows.

    A GPU's peak is its maker's figure at 16 bits; a CPU's is measured with a large matrix product
    in the precision of the run, as threads and other processes count. `None` if unknown.
    """
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
        return next((peak for part, peak in PEAKS.items() if part in name), None)
    return _measure(512, torch.bfloat16 if half else torch.float32)


def memory_gib(device: str) -> float:
    """The most memory this rank has held so far, in GiB: of the GPU, or of the process on a CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _measure(size: int, dtype: torch.dtype) -> float:
    matrix = torch.ones(size, size, dtype=dtype)
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < PATIENCE:
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best
