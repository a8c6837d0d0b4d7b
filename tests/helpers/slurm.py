"""A SLURM cluster of one host, started for the tests and ended with them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")

SETTINGS = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0,batch_sched_delay=0
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={node} CPUs=2 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES MaxTime=10 State=UP
"""


def missing() -> list[str]:
    """The programs of SLURM that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name, path=search_path())]


def search_path() -> str:
    """Where Debian puts the daemons, which is not on everybody's path."""
    return f"{os.environ['PATH']}:/usr/sbin"


class Cluster:
    """A running cluster; `run` submits jobs."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SLURM")},
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": search_path(),
        }

    def run(self, script: Path, *options: str, timeout: float = 120) -> None:
        """Submit a batch script and wait until all its tasks have ended."""
        command = ["sbatch", "--wait", *options, str(script)]
        subprocess.run(command, env=self.environment, timeout=timeout, check=True)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start the three daemons and end them again.

    Args:
        folder: for their files; its path must be short, since a socket lies in it.
    """
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir()
    (folder / "munge").chmod(0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    ports = _free_ports(2)
    settings = {"host": socket.gethostname(), "controller": ports[0], "node": ports[1]}
    (folder / "slurm.conf").write_text(SETTINGS.format(folder=folder, **settings))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    made = Cluster(folder)
    munge = ["munged", "-F", f"--key-file={key}", f"--socket={folder}/munge/socket", "--force"]
    munge += [f"--{name}-file={folder}/munge/{name}" for name in ("pid", "log", "seed")]
    commands = [munge, ["slurmctld", "-D", "-i", "-c"], ["slurmd", "-D", "-N", "node1"]]
    daemons = []
    try:
        for command in commands:
            daemons.append(_start(command, made.environment, folder))
            time.sleep(0.5)
        _wait_until_idle(made, folder)
        yield made
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(20)


def _start(
    command: list[str], environment: dict[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    with (folder / f"{command[0]}.out").open("wb") as out:
        return subprocess.Popen(command, env=environment, stdout=out, stderr=out)


def _wait_until_idle(made: Cluster, folder: Path) -> None:
    for _ in range(60):
        asked = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=made.environment, capture_output=True, text=True
        )
        if asked.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    logs = {path.name: path.read_text()[-1500:] for path in folder.glob("slurm*.*o*")}
    raise AssertionError(f"the cluster did not come up: {asked.stdout}{asked.stderr}{logs}")


def _free_ports(number: int) -> list[int]:
    """Ports outside the range from which the kernel gives ports to clients by itself."""
    found = []
    for port in range(21000 + os.getpid() % 5000, 32000):
        with socket.socket() as candidate:
            if candidate.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == number:
            break
    return found
