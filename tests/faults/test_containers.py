"""What a container of each host runs: two hosts save when Kubernetes stops one, and go on."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from helpers.hosts import Hosts
from helpers.manifest import container, documents
from helpers.paths import ROOT
from helpers.starting import BIN, losses, started, step, until

pytestmark = [pytest.mark.ranks, pytest.mark.slow]


def hostfile(hosts: Hosts, folder: Path) -> Path:
    """That of the manifest, with the hosts and slots that there are here."""
    text = str(documents()["ConfigMap"]["data"]["hosts"])
    for number, host in enumerate(hosts.hosts):
        text = text.replace(f"pretrain-{number}.pretrain slots=2", f"{host.name} slots=1")
    path = folder / "hosts"
    path.write_text(text)
    return path


def test_containers_of_two_hosts_save_at_sigterm_and_go_on_when_started_again(
    tmp_path: Path, hosts: Hosts, long: list[str], long_plain: list[float]
) -> None:
    run = tmp_path / "run"
    variables = {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "PYTHONPATH": ROOT,
        "DS_ACCELERATOR": "cpu",
        "OMP_NUM_THREADS": "1",
        "HOSTFILE": hostfile(hosts, tmp_path),
        "MASTER_ADDR": hosts[0].name,
    }
    assert {"HOSTFILE", "MASTER_ADDR", "NODE_RANK"} == {one["name"] for one in container()["env"]}

    def on(node: int) -> list[str]:
        settings = [f"{name}={value}" for name, value in variables.items()]
        words = [*settings, f"NODE_RANK={node}", *container()["command"], *long, f"run={run}"]
        return hosts.on(hosts[node], f"cd {ROOT} && exec env {shlex.join(words)}")

    def both(stop: bool) -> tuple[list[int], str]:
        with ExitStack() as stack:
            pods = [stack.enter_context(started(on(node), hosts.variables)) for node in (0, 1)]
            if stop:
                until(lambda: step(run) > 10 or any(pod.poll() is not None for pod in pods))
                term = hosts.on(hosts[1], "pkill -TERM -f '^bash launch/container.sh'")
                subprocess.run(term, env=hosts.variables, check=True, timeout=30)
            said = [pod.communicate(timeout=120) for pod in pods]
        return [pod.returncode for pod in pods], "".join(map("".join, said))

    codes, said = both(stop=True)
    assert codes == [1, 1], said
    assert "preempted · step" in said
    codes, said = both(stop=False)
    assert codes == [0, 0], said
    assert "start    from step" in said
    assert losses(run) == pytest.approx(long_plain, rel=1e-4)
