"""What GPUs can do, as their makers state it, and the hosts that a command describes; no torch.

Sources: the makers' data sheets (NVIDIA: V100, T4, A10, A30, A40, A100, L4, L40, L40S, H100, H200,
HGX B200 and B300, GB200 and GB300 NVL72, RTX; AMD: Instinct MI200, MI300, MI350), the reference
hosts DGX-1, DGX A100, DGX H100, DGX B200 and DGX B300 for the network, Amazon's page on the A10G.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from dslm.errors import Problem, SetupError, suggest


@dataclass(frozen=True)
class Device:
    """One GPU, or each of the two that an MI250 is."""

    name: str
    half: float
    """Dense operations a second at 16 bits summed in float32."""
    single: float
    """The same in float32."""
    memory: float
    """Bytes."""
    bandwidth: float
    """Bytes a second to and from its memory."""
    link: float
    """Bytes a second to the other GPUs of its host, one way: NVLink, Infinity Fabric or PCIe."""
    network: float
    """Bytes a second to other hosts, one way: its share of the reference host's adapters."""

    @property
    def float8(self) -> bool:
        """Whether it computes in 8-bit floats."""
        return self.name not in WITHOUT_FLOAT8


_TABLE = """
V100          125   15.7   32   900  150   50
T4             65    8.1   16   320   16   25
A10           125   31.2   24   600   32   25
A10G           70   31.5   24   600   32   25
A30           165   10.3   24   933   32   25
A40           150   37.4   48   696   32   25
A100          312   19.5   80  2039  300  200
A800          312   19.5   80  2039  200  200
L4            121   30.3   24   300   32   25
L40           181   90.5   48   864   32   25
L40S          362   91.6   48   864   32   50
H20           148   44     96  4000  450  400
H100          989   67     80  3350  450  400
H100 PCIe     756   51     80  2000   64  100
H100 NVL      835   60     94  3900  300  100
H200          989   67    141  4800  450  400
H200 NVL      835   60    141  4800  450  100
H800          989   67     80  3350  200  400
H800 PCIe     756   51     80  2000   64  100
GH200         989   67     96  4000  450  400
B200         2250   75    180  7700  900  400
B300         2250   75    288  8000  900  800
GB200        2500   80    186  8000  900  400
GB300        2500   80    279  8000  900  800
RTX A4000    76.7   19.2   16   448   32   25
RTX A5000     111   27.8   24   768   32   25
RTX A6000     155   38.7   48   768   32   25
RTX 6000 Ada  364   91.1   48   960   32   25
RTX 3090       71   35.6   24   936   32   25
RTX 4090      165   82.6   24  1008   32   25
RTX 5090      210  105     32  1792   64   25
MI210         181   22.6   64  1638   64  100
MI250         181   22.6   64  1638  100  100
MI250X        191   23.9   64  1638  100  100
MI300A        981  123    128  5300  192  200
MI300X       1307  163    192  5300  448  400
MI325X       1307  163    256  6000  448  400
MI350X       2307  144    288  8000  537  400
MI355X       2517  157    288  8000  537  400
"""
"""Name; TFLOP/s at 16 bits and in float32; memory in GiB and in GB/s; GB/s to a neighbour; Gbit/s
of network for each GPU."""

WITHOUT_FLOAT8 = {
    *("V100", "T4", "A10", "A10G", "A30", "A40", "A100", "A800", "RTX A4000", "RTX A5000"),
    *("RTX A6000", "RTX 3090", "MI210", "MI250", "MI250X"),
}
"""Those before Ada, Hopper and MI300."""


def _device(row: str) -> Device:
    words = row.split()
    half, single, memory, bandwidth, link, network = map(float, words[-6:])
    return Device(
        " ".join(words[:-6]),
        1e12 * half,
        1e12 * single,
        2**30 * memory,
        1e9 * bandwidth,
        1e9 * link,
        1e9 / 8 * network,
    )


DEVICES = {device.name: device for device in map(_device, _TABLE.strip().splitlines())}
"""The GPUs, by the words of their names that tell them apart."""

ASKED = re.compile(r"(?:(\d+)\s*x\s*)?(.+?)(?:[- ](\d+)\s*G(?:i?B)?)?", re.IGNORECASE)
"""What a command says: a count, a name and gigabytes, such as ``8xH100-80G``."""


def find_device(name: str) -> Device | None:
    """The GPU of a name as its driver gives it, such as ``NVIDIA A100-SXM4-80GB``."""
    words = {word.lower() for word in re.split(r"[\s/_-]+", name)}
    known = [key for key in DEVICES if words >= set(key.lower().split())]
    if not known:
        return None
    return DEVICES[max(known, key=len)]


@dataclass(frozen=True)
class Cluster:
    """The ranks that a run is planned for."""

    hosts: int
    local: int
    """Ranks on each host."""
    device: Device | None
    """The GPU of each rank; `None` for the CPU."""

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.hosts * self.local

    @property
    def cpu(self) -> bool:
        """Whether the ranks compute without an accelerator."""
        return self.device is None

    def rate(self, ranks: int, apart: int) -> float:
        """Bytes a second that each rank of a group can send to the others, one way.

        Args:
            ranks: of the group.
            apart: the distance of two neighbours in it; ranks count host by host.
        """
        assert self.device is not None
        within = max(1, self.local // apart)  # ranks of the group on one host
        if ranks <= within:
            return self.device.link
        return min(self.device.link, within * self.device.network)


def read_gpus(text: str, hosts: int, network: float | None = None) -> Cluster:
    """The cluster that ``--hosts`` and ``--gpus`` describe.

    Args:
        text: GPUs of each host, such as ``8xH100-80G``.
        hosts: how many hosts.
        network: Gbit/s for each GPU; `None` takes the reference host's.

    Raises:
        SetupError: there is no such GPU in the table.
    """
    found = ASKED.fullmatch(text.strip())
    device = find_device(found[2]) if found else None
    if found is None or device is None:
        names = [name.replace(" ", "-") for name in DEVICES]
        wanted = found[2] if found else text
        rule = "must be a count and a GPU of the table, such as 8xH100-80G"
        fix = suggest(wanted, names, f"use one of {', '.join(names)}")
        raise SetupError(Problem("--gpus", text, rule, fix))
    if found[3]:
        device = replace(device, memory=2**30 * float(found[3]))
    if network is not None:
        device = replace(device, network=1e9 / 8 * network)
    return Cluster(hosts, int(found[1] or 1), device)
