"""The peak of a GPU by the name that its driver gives."""

from __future__ import annotations

import pytest

from dslm.parallel.hardware import PEAKS, peak_of_gpu

NAMES = {
    "Tesla V100-SXM2-32GB": 125,
    "Tesla T4": 65,
    "NVIDIA A10": 125,
    "NVIDIA A10G": 70,
    "NVIDIA A40": 150,
    "NVIDIA A100-SXM4-80GB": 312,
    "NVIDIA A100 80GB PCIe": 312,
    "NVIDIA RTX A4000": 76.7,
    "NVIDIA L4": 121,
    "NVIDIA L40": 181,
    "NVIDIA L40S": 362,
    "NVIDIA H20": 148,
    "NVIDIA H100 80GB HBM3": 989,
    "NVIDIA H100 PCIe": 756,
    "NVIDIA H100 NVL": 835,
    "NVIDIA H200": 989,
    "NVIDIA B200": 2250,
    "NVIDIA B300 SXM6 AC": 2250,
    "NVIDIA GeForce RTX 4090": 165,
    "AMD Instinct MI300X": 1307,
    "AMD Instinct MI250X/MI250": 191,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_has_the_peak_of_its_own_model(name: str) -> None:
    assert peak_of_gpu(name, half=True) == pytest.approx(1e12 * NAMES[name])


@pytest.mark.parametrize("name", ["NVIDIA A1000", "NVIDIA H1000", "NVIDIA L400", "Some GPU"])
def test_a_gpu_of_a_similar_name_has_no_peak(name: str) -> None:
    assert peak_of_gpu(name, half=True) is None


def test_float32_is_compared_with_float32() -> None:
    assert peak_of_gpu("NVIDIA A100-SXM4-80GB", half=False) == pytest.approx(19.5e12)
    assert all(half > single for half, single in PEAKS.values())
