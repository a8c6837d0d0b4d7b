"""The memory that a rank takes for training, beyond what it held before there was a model.

On a GPU torch counts what it has allocated. On a CPU it is the growth of the resident memory of the
process, whose highest mark Linux lets a process reset (``/proc/self/clear_refs``). Pages of files
(libraries, shards) are not counted: the kernel can drop them at any time.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dslm.environment import World, available_memory

PROCESS = Path("/proc/self")
RESET_PEAK = "5"
"""What resets ``VmHWM``, see proc_pid_clear_refs(5)."""
IMPORTED_LATE = "torch._dynamo"
"""What torch's optimizers import when the first is made: 70 MB that are not the model's."""
OF_FLOAT8 = "torchao.float8.float8_linear"
"""What a model that computes in 8-bit floats imports when it is built: 20 MB likewise."""
OF_COMPILING = "torch._inductor.compile_fx"
"""What the first compilation imports: 60 MB likewise."""


class MemoryUse:
    """Measures from the moment it is made.

    Args:
        device: torch's name of this rank's device.
        float8: whether layers compute in 8-bit floats.
        compiled: whether something is compiled.
    """

    def __init__(self, device: str, *, float8: bool = False, compiled: bool = False) -> None:
        self.device = device
        if device.startswith("cuda"):
            import torch

            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(device)
            self.before = torch.cuda.memory_allocated(device)
            return
        wanted = {IMPORTED_LATE: True, OF_FLOAT8: float8, OF_COMPILING: compiled}
        for name in (name for name, is_wanted in wanted.items() if is_wanted):
            importlib.import_module(name)
        self._begin_anew()
        self.before = held()

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """What is held more after something was done inside is not counted, nor a peak before."""
        if self.device.startswith("cuda"):
            yield
            return
        before = held()
        yield
        self.before += held() - before
        self._begin_anew()

    def peak(self) -> int:
        """Bytes held at most since then, above what was held then."""
        if self.device.startswith("cuda"):
            import torch

            return torch.cuda.max_memory_allocated(self.device) - self.before
        return resident("VmHWM") - resident("RssFile") - self.before

    def _begin_anew(self) -> None:
        with suppress(OSError):  # then the peak may be of before, when little was held
            (PROCESS / "clear_refs").write_text(RESET_PEAK)


def free_memory(world: World) -> float | None:
    """Bytes that this rank may still take of its device, or of its share of main memory on a CPU.

    `None` where the system does not say.
    """
    if not world.cpu:
        import torch

        return float(torch.cuda.mem_get_info(world.local_rank)[0])
    available = available_memory()
    return None if available is None else available / world.local_size


def held() -> int:
    """Bytes that this process holds now."""
    return resident("VmRSS") - resident("RssFile")


def resident(name: str) -> int:
    """A figure of this process's memory, in bytes.

    Args:
        name: ``VmRSS`` is what it holds, ``VmHWM`` the most it has held, ``RssFile`` the part of
            it that is pages of files.
    """
    status = (PROCESS / "status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0
