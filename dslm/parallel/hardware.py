"""The speed and the memory use of a rank's device."""

from __future__ import annotations

import re
import resource
import time

import torch

PEAKS = {
    "V100": (125, 15.7),
    "T4": (65, 8.1),
    "A10": (125, 31.2),
    "A10G": (70, 31.5),
    "A30": (165, 10.3),
    "A40": (150, 37.4),
    "A100": (312, 19.5),
    "A800": (312, 19.5),
    "L4": (121, 30.3),
    "L40": (181, 90.5),
    "L40S": (362, 91.6),
    "H20": (148, 44),
    "H100": (989, 67),
    "H100 PCIe": (756, 51),
    "H100 NVL": (835, 60),
    "H200": (989, 67),
    "H200 NVL": (835, 60),
    "H800": (989, 67),
    "H800 PCIe": (756, 51),
    "GH200": (989, 67),
    "B200": (2250, 75),
    "B300": (2250, 75),
    "GB200": (2500, 80),
    "GB300": (2500, 80),
    "RTX A4000": (76.7, 19.2),
    "RTX A5000": (111, 27.8),
    "RTX A6000": (155, 38.7),
    "RTX 6000 Ada": (364, 91.1),
    "RTX 3090": (71, 35.6),
    "RTX 4090": (165, 82.6),
    "RTX 5090": (210, 105),
    "MI210": (181, 22.6),
    "MI250": (181, 22.6),
    "MI250X": (191, 23.9),
    "MI300A": (981, 123),
    "MI300X": (1307, 163),
    "MI325X": (1307, 163),
    "MI350X": (2307, 144),
    "MI355X": (2517, 157),
}
"""Dense TFLOP/s at 16 bits summed in float32, and in float32, as the makers state them.

A GPU goes by the words of its name. An MI250 is two devices, each with half of it.
"""

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
    words = set(re.split(r"[\s/-]+", name))
    known = [key for key in PEAKS if words >= set(key.split())]
    if not known:
        return None
    at_16_bits, at_32_bits = PEAKS[max(known, key=len)]
    return 1e12 * (at_16_bits if half else at_32_bits)


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
