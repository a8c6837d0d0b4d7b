"""``dslm hosts`` with real hosts: what is right passes, and each mistake is reported."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.hosts import Host, Hosts
from helpers.starting import BIN, start

pytestmark = [pytest.mark.ranks, pytest.mark.slow]


def check(hosts: Hosts, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "dslm"), "hosts", str(file), "--timeout", "30", *options]
    return start(command, variables=hosts.variables)


def on(hosts: Hosts, host: Host, command: str) -> None:
    subprocess.run(hosts.on(host, command), env=hosts.variables, check=True, timeout=30)


def test_two_hosts_that_are_right_are_ready(hosts: Hosts, tmp_path: Path) -> None:
    ended = check(hosts, hosts.hostfile(2), "--folder", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    rows = ended.stdout.splitlines()
    assert [row.split()[:2] for row in rows[1:3]] == [[host.name, "2"] for host in hosts.hosts]
    assert rows[-1] == "2 hosts, 4 ranks: ready"
    assert list(tmp_path.iterdir()) == []


def test_mistakes_of_several_hosts_are_reported_together(hosts: Hosts, tmp_path: Path) -> None:
    first, second = hosts.hosts
    file = tmp_path / "hosts"
    file.write_text(
        f"# two hosts\n{first.name} slots=1\n\n{second.name} slots=1\nnowhere slots=1\n"
    )
    folder = tmp_path / "shared"
    folder.mkdir()
    on(hosts, first, f"nohup {sys.executable} -m http.server 29655 >/dev/null 2>&1 </dev/null &")
    on(hosts, second, f"mount -t tmpfs none {folder}; hostname wrong")
    ended = check(hosts, file, "--folder", str(folder), "--master_port", "29655")
    on(hosts, second, f"umount {folder}; hostname {second.name}")
    on(hosts, first, "kill $(pgrep -f 'http.server 2965[5]')")
    assert ended.returncode == 2, ended.stderr
    errors = ended.stderr
    assert "error: nowhere: is not reached: ssh: Could not resolve hostname nowhere" in errors
    assert (
        f"error: {folder}: is not shared: {second.name} does not see what was written on" in errors
    )
    assert f"error: master_port = 29655: is taken on {first.name}" in errors
    assert f"error: {second.name}: name: 'wrong' is no address there" in errors
    assert "Traceback" not in errors


def test_another_python_and_other_code_are_reported(hosts: Hosts, tmp_path: Path) -> None:
    from dslm.cluster import hostfile

    changed = tmp_path / "changed.py"
    module = Path(hostfile.__file__)
    changed.write_text(module.read_text() + "\n")
    on(hosts, hosts[1], f"mount --bind {changed} {module}")
    ended = check(hosts, hosts.hostfile(), "--folder", str(tmp_path))
    on(hosts, hosts[1], f"umount {module}")
    assert ended.returncode == 2
    assert f"error: {hosts[1].name}: code = " in ended.stderr
    assert ended.stderr.count("error:") == 1


def test_a_host_that_is_cut_off_is_named(hosts: Hosts, tmp_path: Path) -> None:
    hosts[1].cut()
    try:
        ended = check(hosts, hosts.hostfile(), "--folder", str(tmp_path), "--timeout", "8")
    finally:
        hosts[1].mend()
    assert ended.returncode == 2
    assert f"error: {hosts[1].name}: is not reached" in ended.stderr
    assert f"{hosts[0].name}: is not reached" not in ended.stderr


def test_a_single_remote_host_needs_force_multi(hosts: Hosts, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(f"{hosts[1].name} slots=2\n")
    options = ["--folder", str(tmp_path)]
    ended = check(hosts, file, *options)
    assert ended.returncode == 2
    rule = "is the only host and not this machine, where deepspeed would start the ranks"
    assert f"error: {hosts[1].name}: {rule}" in ended.stderr
    assert check(hosts, file, *options, "--force_multi").returncode == 0
    assert socket.gethostname() != hosts[1].name


def test_two_names_of_one_host_are_reported(hosts: Hosts, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text(f"{hosts[1].name} slots=1\n{hosts[1].address} slots=1\n")
    ended = check(hosts, file, "--folder", str(tmp_path))
    assert ended.returncode == 2
    assert f"{hosts[1].address}: is the same machine as {hosts[1].name}" in ended.stderr
