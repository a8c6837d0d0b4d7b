"""Runs over two hosts: each launcher gives the run of one process, and a lost host ends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.hosts import Hosts
from helpers.starting import BIN, SCRIPT, losses, start

pytestmark = [pytest.mark.ranks, pytest.mark.slow]

PORT = "29611"
"""Where the ranks meet: hosts of their own have all ports for themselves."""


def over(hosts: Hosts, *options: str) -> list[str]:
    file = str(hosts.hostfile())
    return [str(BIN / "deepspeed"), "--hostfile", file, "--master_port", PORT, *options, SCRIPT]


OPENMPI = (
    "--allow-run-as-root --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include {net}.0/24 "
    "--mca plm_rsh_agent ssh"
)


@pytest.mark.parametrize("by", ["pdsh", "openmpi"])
def test_a_hostfile_of_two_hosts_gives_the_losses_of_one_process(
    by: str, tmp_path: Path, hosts: Hosts, arguments: list[str], plain: list[float]
) -> None:
    run = tmp_path / "run"
    options = ["--launcher", by]
    if by == "openmpi":
        options += ["--launcher_args", OPENMPI.format(net=hosts.net)]
    ended = start([*over(hosts, *options), *arguments, f"run={run}"], variables=hosts.variables)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert losses(run) == pytest.approx(plain, rel=1e-5)
    said = ended.stdout + ended.stderr
    started_by = {"pdsh": "deepspeed", "openmpi": "mpirun"}[by]
    print(said)
    assert f"2 CPU ranks on 2 hosts, started by {started_by} = 2 replicas" in said
