"""What a host says of itself: a program that is sent to each host and needs nothing but Python.

It prints one line of JSON. The first time it writes a token into the shared folder, the second time
it looks for those of all others and tries to meet them at the first rank's port.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import time

PACKAGES = ("dslm", "torch", "deepspeed", "numpy", "pyarrow", "safetensors")


def describe(folder: str, token: str, port: int) -> dict[str, object]:
    """This host, after its token has been written."""
    found: dict[str, object] = {"host": socket.gethostname(), "python": platform.python_version()}
    found["versions"] = {name: _version(name) for name in PACKAGES}
    found["code"] = _code()
    found["gpus"] = len(glob.glob("/dev/nvidia[0-9]*"))
    found["cpus"] = len(os.sched_getaffinity(0))
    found["files"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found["shm"] = shutil.disk_usage("/dev/shm").total if os.path.isdir("/dev/shm") else 0
    found["addresses"] = _addresses()
    found["own"] = _own_address()
    found["port"] = _is_free(port)
    try:
        found["disk"] = shutil.disk_usage(folder).free
        with open(os.path.join(folder, token), "x") as file:
            file.write(token)
    except OSError as error:
        found["unwritable"] = error.strerror
    return found


def meet(folder: str, tokens: list[str], address: str, port: int, others: int) -> dict[str, object]:
    """Which tokens this host sees, and whether it met the first one.

    Args:
        folder: the shared folder.
        tokens: the tokens of all hosts.
        address: of the first host.
        port: of the first rank there.
        others: how many come to this host, if it is the first one; else -1.
    """
    missing = [token for token in tokens if not os.path.isfile(os.path.join(folder, token))]
    met = _wait_for(port, others) if others >= 0 else _reach(address, port)
    return {"missing": missing, "met": met}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _code() -> str | None:
    """A hash of the sources of dslm."""
    spec = importlib.util.find_spec("dslm")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = spec.submodule_search_locations[0]
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(root, "**", "*.py"), recursive=True)):
        digest.update(os.path.relpath(path, root).encode())
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:12]


def _addresses() -> list[str]:
    """As DeepSpeed's launcher asks for them; the first is where the ranks meet."""
    try:
        done = subprocess.run(["hostname", "-I"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split()


def _own_address() -> str | None:
    """What this host's own name resolves to, which is where its ranks listen."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return None


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("", port))
        except OSError:
            return False
    return True


def _wait_for(port: int, others: int, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("", port))
        except OSError:
            return False
        server.listen(others + 1)
        for _ in range(others):
            server.settimeout(max(0.01, end - time.monotonic()))
            with contextlib.suppress(OSError):
                server.accept()[0].close()
    return True


def _reach(address: str, port: int, seconds: float = 8.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection((address, port), timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


if __name__ == "__main__":
    begun = time.time()
    question = json.loads(sys.argv[2])
    answer = describe(**question) if sys.argv[1] == "describe" else meet(**question)
    times = {"begun": begun, "ended": time.time()}
    sys.stdout.write(json.dumps({**answer, **times}) + "\n")
