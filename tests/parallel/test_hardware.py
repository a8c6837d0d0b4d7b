"""The peak of a GPU by the name that its driver gives."""

from __future__ import annotations

import pytest

from dslm.errors import SetupError
from dslm.parallel.devices import DEVICES, read_gpus
from dslm.parallel.hardware import peak_of_gpu

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
    assert all(device.half > device.single for device in DEVICES.values())


@pytest.mark.parametrize(
    ("text", "local", "name", "gib"),
    [
        ("8xH100-80G", 8, "H100", 80),
        ("4xA100-40GB", 4, "A100", 40),
        ("h100-pcie", 1, "H100 PCIe", 80),
        ("2 x RTX-4090", 2, "RTX 4090", 24),
        ("8xMI300X", 8, "MI300X", 192),
    ],
)
def test_hosts_are_described_by_count_name_and_memory(
    text: str, local: int, name: str, gib: int
) -> None:
    cluster = read_gpus(text, hosts=2)
    assert (cluster.ranks, cluster.local) == (2 * local, local)
    assert cluster.device is not None
    assert (cluster.device.name, cluster.device.memory) == (name, gib * 2**30)


def test_an_unknown_gpu_is_refused_with_the_nearest_known() -> None:
    with pytest.raises(SetupError, match=r"--gpus = '8xH101': .*did you mean 'H100'"):
        read_gpus("8xH101", hosts=1)


def test_a_group_across_hosts_sends_as_fast_as_its_adapters_together() -> None:
    cluster = read_gpus("8xH100", hosts=2)
    assert cluster.device is not None
    assert cluster.rate(8, apart=1) == cluster.device.link
    assert cluster.rate(16, apart=1) == min(cluster.device.link, 8 * cluster.device.network)
    assert cluster.rate(2, apart=8) == cluster.device.network
