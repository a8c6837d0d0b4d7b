"""Runs over two hosts: each launcher gives the run of one process, and a lost host ends it."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.hosts import Host, Hosts
from helpers.needs import absent, need
from helpers.paths import ROOT
from helpers.starting import BIN, SCRIPT, has_checkpoint, losses, start, started, until

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
MPICH = "-localhost {net}.254"
"""Which address of this machine the hosts answer to, as they do not know its name."""


def mpich(folder: Path) -> str:
    """A folder with MPICH's ``mpirun``, where another one may have the name."""
    need(absent(["mpirun.mpich"]))
    folder.mkdir()
    (folder / "mpirun").write_text('#!/bin/sh\nexec mpirun.mpich "$@"\n')
    (folder / "mpirun").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("by", ["pdsh", "openmpi", "mpich"])
def test_a_hostfile_of_two_hosts_gives_the_losses_of_one_process(
    by: str, tmp_path: Path, hosts: Hosts, arguments: list[str], plain: list[float]
) -> None:
    run, path = tmp_path / "run", f"{BIN}:{hosts.variables['PATH']}"
    options = ["--launcher", by]
    if by != "pdsh":
        options += [
            "--launcher_args",
            {"openmpi": OPENMPI, "mpich": MPICH}[by].format(net=hosts.net),
        ]
    if by == "mpich":
        path = f"{mpich(tmp_path / 'bin')}:{path}"
    command = ["env", f"PATH={path}", *over(hosts, *options), *arguments, f"run={run}"]
    ended = start(command, variables=hosts.variables)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert losses(run) == pytest.approx(plain, rel=1e-5)
    launcher = "mpirun" if by == "openmpi" else "deepspeed"
    layout = f"2 CPU ranks on 2 hosts, started by {launcher} = 2 replicas"
    assert layout in ended.stdout + ended.stderr


def test_deepspeed_on_each_host_without_ssh_gives_the_losses_of_one_process(
    tmp_path: Path, hosts: Hosts, arguments: list[str], plain: list[float]
) -> None:
    run, file = tmp_path / "run", hosts.hostfile()
    file.write_text("# as a container mounts it\n" + file.read_text())

    def on(node: int) -> list[str]:
        options = ["--no_ssh", "--node_rank", str(node), "--master_addr", hosts[0].address]
        words = [*over(hosts, *options), *arguments, f"run={run}"]
        variables = ["env", "DS_ACCELERATOR=cpu", "OMP_NUM_THREADS=1", f"PYTHONPATH={ROOT}"]
        return hosts.on(hosts[node], f"cd {ROOT} && {shlex.join([*variables, *words])}")

    with started(on(1), hosts.variables) as second:
        first = start(on(0), variables=hosts.variables)
        output, errors = second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + output + errors
    assert losses(run) == pytest.approx(plain, rel=1e-5)
    assert "2 CPU ranks on 2 hosts, started by deepspeed" in first.stdout + first.stderr


def lost(
    hosts: Hosts, run: Path, arguments: list[str], happen: Callable[[Host], None]
) -> tuple[int, str]:
    """The exit code and the screen of a run whose second host is lost on the way."""
    with started([*over(hosts), *arguments, f"run={run}"], hosts.variables) as process:
        until(lambda: has_checkpoint(run) or process.poll() is not None)
        happen(hosts[1])
        output, errors = process.communicate(timeout=240)
    return process.returncode, output + errors


def left(hosts: Hosts, host: Host, run: Path) -> str:
    """The processes of a run on a host."""
    command = hosts.on(host, "pgrep", "-f", f"run={run}")
    found = subprocess.run(
        command, env=hosts.variables, capture_output=True, text=True, timeout=30, check=False
    )
    return found.stdout


def failure(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "failure.json").read_text())
    return found


def test_a_host_that_dies_is_named_and_the_run_goes_on_with_the_one_that_is_left(
    tmp_path: Path, hosts: Hosts, long: list[str], long_plain: list[float]
) -> None:
    run, file = tmp_path / "run", tmp_path / "hosts"
    file.write_text(f"{hosts[0].name} slots=1\n")
    alone = [str(BIN / "deepspeed"), "--hostfile", str(file), "--force_multi"]
    try:
        code, said = lost(hosts, run, long, Host.die)
        assert code != 0
        assert f"error: rank 1 on host {hosts[1].name} ended without a word at step" in said
        assert failure(run)["host"] == hosts[1].name
        assert left(hosts, hosts[0], run) == ""
        ended = start([*alone, SCRIPT, *long, f"run={run}"], variables=hosts.variables)
    finally:
        hosts.start(hosts[1])
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "start    from step" in ended.stdout + ended.stderr
    assert losses(run) == pytest.approx(long_plain, rel=1e-4)


def test_a_host_that_is_cut_off_is_named_and_nothing_is_left(
    tmp_path: Path, hosts: Hosts, arguments: list[str]
) -> None:
    run = tmp_path / "run"

    def cut(host: Host) -> None:
        # With its network it loses the shared folder, which here is no network's file system.
        lose = hosts.on(host, f"mount -t tmpfs none {run}")
        subprocess.run(lose, env=hosts.variables, check=True, timeout=30)
        host.cut()

    try:
        endless = [word for word in arguments if not word.startswith("steps=")]
        code, said = lost(hosts, run, [*endless, "steps=1000000", "checkpoint_interval=10"], cut)
        assert code != 0
        assert f"rank 1 on host {hosts[1].name}" in said
        assert failure(run)["host"] == hosts[1].name
        assert left(hosts, hosts[0], run) == ""
    finally:
        hosts[1].die()
        hosts[1].mend()
        hosts.start(hosts[1])
