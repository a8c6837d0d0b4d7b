"""The memory that a rank takes for training, beyond what it held before there was a model.

On a GPU torch counts what it has allocated. On a CPU it is the growth of the resident memory of the
process, whose highest mark Linux lets a process reset (``/proc/self/clear_refs``). Pages of files
(libraries, shards) are not counted: the kernel can drop them at any time.
"""

from __future__ import annotations

import importlib
import re
from contextlib import suppress
from pathlib import Path

from dslm.environment import World, available_memory

PROCESS = Path("/proc/self")
RESET_PEAK = "5"
"""What resets ``VmHWM``, see proc_pid_clear_refs(5)."""
IMPORTED_LATE = "torch._dynamo"
"""What torch's optimizers import when the first is made: 70 MB that are not the model's."""
OF_FLOAT8 = "torchao.float8.float8_linear"
"""What a model that computes in 8-bit floats imports when it is built: 20 MB likewise."""


class MemoryUse:
    """Measures from the moment it is made.

    Args:
        device: torch's name of this rank's device.
        float8: whether layers compute in 8-bit floats.
    """

    def __init__(self, device: str, *, float8: bool = False) -> None:
        self.device = device
        if device.startswith("cuda"):
            import torch

            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)
            return
        for name in (IMPORTED_LATE, OF_FLOAT8) if float8 else (IMPORTED_LATE,):
            importlib.import_module(name)
        with suppress(OSError):  # then the peak may be of before, when little was held
            (PROCESS / "clear_refs").write_text(RESET_PEAK)
        self.before = resident("VmRSS") - resident("RssFile")

    def peak(self) -> int:
        """Bytes held at most since then, above what was held then."""
        if self.device.startswith("cuda"):
            import torch

            return torch.cuda.max_memory_allocated(self.device) - self.before
        return resident("VmHWM") - resident("RssFile") - self.before


def free_memory(world: World) -> float | None:
    """Bytes that this rank may still take of its device, or of its share of main memory on a CPU.

    `None` where the system does not say.
    """
    if not world.cpu:
        import torch

        return float(torch.cuda.mem_get_info(world.local_rank)[0])
    available = available_memory()
    return None if available is None else available / world.local_size


def resident(name: str) -> int:
    """A figure of this process's memory, in bytes.

    Args:
        name: ``VmRSS`` is what it holds, ``VmHWM`` the most it has held, ``RssFile`` the part of
            it that is pages of files.
    """
    status = (PROCESS / "status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0
