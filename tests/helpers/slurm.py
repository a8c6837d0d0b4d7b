"""A SLURM cluster of this machine, or of several hosts, that ends with the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.hosts import Host, Hosts, search_path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")

SETTINGS = """\
ClusterName=tests
SlurmctldHost={host}({address})
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
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
ReturnToService=2
JobRequeue=1
KillWait=5
SlurmdTimeout=10
MinJobAge=600
{nodes}PartitionName=main Nodes=ALL Default=YES MaxTime=10 State=UP
"""


class Cluster:
    """A running cluster; `run` submits jobs.

    Args:
        folder: of its files.
        hosts: its nodes; none for one node on this machine.
    """

    def __init__(self, folder: Path, hosts: Hosts | None) -> None:
        self.folder, self.hosts = folder, hosts
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SLURM")},
            **(hosts.variables if hosts else {"PATH": search_path()}),
            "SLURM_CONF": str(folder / "slurm.conf"),
        }

    def run(self, script: Path, *options: str, timeout: float = 120) -> None:
        """Submit a batch script and wait until all its tasks have ended."""
        command = ["sbatch", "--wait", *options, str(script)]
        subprocess.run(command, env=self.environment, timeout=timeout, check=True)

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """What SLURM knows of a job, such as ``JobState`` and ``Restarts``."""
        shown = self.ask("scontrol", "show", "job", number).split()
        return dict(word.partition("=")[::2] for word in shown)

    def wait_for(self, number: str, *states: str, timeout: float = 240) -> dict[str, str]:
        """What SLURM knows of a job once it is in one of some states."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = self.job(number)
            if found["JobState"] in states:
                return found
            time.sleep(0.3)
        raise AssertionError(f"job {number} is {self.job(number)}, not {states}")

    def start_node(self, host: Host) -> None:
        """Start a host's daemon."""
        log = self.folder / f"slurmd.{host.name}.out"
        command = f"SLURM_CONF={self.environment['SLURM_CONF']} slurmd </dev/null >{log} 2>&1"
        assert self.hosts is not None
        words = self.hosts.on(host, f"PATH={search_path()} {command}")
        subprocess.run(words, env=self.environment, timeout=30, check=True)

    def stop_node(self, host: Host) -> None:
        """End a host's daemon; its processes have numbers of their own, so nobody else is met."""
        assert self.hosts is not None
        words = self.hosts.on(host, "pkill -x slurmd")
        subprocess.run(words, env=self.environment, timeout=30, check=False, capture_output=True)

    def wait_until_idle(self) -> None:
        """Wait until every node is there and has nothing to do."""
        for _ in range(80):
            shown = subprocess.run(
                ["sinfo", "-h", "-N", "-o", "%T"],
                env=self.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if set(shown.stdout.split()) == {"idle"}:
                return
            time.sleep(0.5)
        logs = {path.name: path.read_text()[-1500:] for path in self.folder.glob("slurm*.*o*")}
        raise AssertionError(f"the nodes are not idle: {shown.stdout}{shown.stderr}{logs}")


@contextmanager
def cluster(folder: Path, hosts: Hosts | None = None) -> Iterator[Cluster]:
    """Start the daemons and end them again.

    Args:
        folder: for their files; its path must be short, since a socket lies in it.
        hosts: its nodes; none for one node on this machine.
    """
    for name in ("state", "munge"):
        (folder / name).mkdir()
    (folder / "munge").chmod(0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    controller, node = _free_ports(2)
    here = socket.gethostname()
    nodes = [f"node1 NodeHostname={here} NodeAddr=127.0.0.1"]
    if hosts:
        nodes = [f"{h.name} NodeHostname={h.name} NodeAddr={h.address}" for h in hosts.hosts]
    listed = "".join(f"NodeName={n} Port={node} CPUs=2 RealMemory=4000\n" for n in nodes)
    settings = {"host": here, "address": hosts.gateway if hosts else "127.0.0.1"}
    settings |= {"folder": str(folder), "controller": str(controller), "nodes": listed}
    (folder / "slurm.conf").write_text(SETTINGS.format(**settings))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    made = Cluster(folder, hosts)
    munge = ["munged", "-F", f"--key-file={key}", f"--socket={folder}/munge/socket", "--force"]
    munge += [f"--{name}-file={folder}/munge/{name}" for name in ("pid", "log", "seed")]
    commands = [munge, ["slurmctld", "-D", "-i", "-c"]]
    commands += [] if hosts else [["slurmd", "-D", "-N", "node1"]]
    daemons = []
    try:
        for command in commands:
            daemons.append(_start(command, made.environment, folder))
            time.sleep(0.5)
        for host in hosts.hosts if hosts else []:
            made.start_node(host)
        made.wait_until_idle()
        yield made
    finally:
        for host in hosts.hosts if hosts else []:
            made.stop_node(host)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(20)


def _start(
    command: list[str], environment: dict[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    with (folder / f"{command[0]}.out").open("wb") as out:
        return subprocess.Popen(command, env=environment, stdout=out, stderr=out)


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
