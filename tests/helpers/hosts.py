"""Two or more hosts on one machine: network namespaces, each with its own sshd, name and processes.

They share the file system. Each has its address on a bridge, its host name and its own first
process, so that a host can die, be cut off, or be started again without touching the others.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("ip", "unshare", "sshd", "ssh", "ssh-keygen", "pdsh")

SSHD = """\
Port 22
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
"""

SSH = """\
Host *
  User root
  IdentityFile {folder}/key
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  BatchMode yes
  ConnectTimeout 5
  ServerAliveInterval 3
  ServerAliveCountMax 2
  LogLevel ERROR
"""


def lacking() -> str:
    """What this machine lacks to hold such hosts; empty when nothing."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=search_path())]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid():
        return "only root may make network namespaces"
    tried = subprocess.run(["unshare", "--net", "--uts", "--pid", "--fork", "true"], check=False)
    return "network namespaces are not allowed here" if tried.returncode else ""


def search_path() -> str:
    """Where Debian puts the daemons, which is not on everybody's path."""
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


class Host:
    """One host; `Hosts` starts it."""

    def __init__(self, folder: Path, net: str, number: int) -> None:
        self.folder = folder
        self.name = f"{prefix()}n{number}"
        self.link = f"{prefix()}v{number}"
        self.address = f"{net}.{number}"
        self._first: subprocess.Popen[bytes] | None = None

    def create(self, bridge: str, gateway: str) -> None:
        """Its network; the files in ``/etc/netns`` are its own view of ``/etc``."""
        own = Path("/etc/netns", self.name)
        own.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.folder / "hosts", own / "hosts")
        # Without a resolver, looking up a name would otherwise wait for ten seconds each time.
        (own / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        _ip("netns", "add", self.name)
        _ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", self.link, "master", bridge, "up")
        _ip("-n", self.name, "link", "set", "lo", "up")
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self.name, "link", "set", "eth0", "up")
        _ip("-n", self.name, "route", "add", "default", "via", gateway)

    def start(self) -> None:
        """Its first process, a shell whose child is sshd; with it everything there ends."""
        configuration = self.folder / f"sshd_{self.name}"
        configuration.write_text(SSHD.format(address=self.address, folder=self.folder))
        # A shell as the first process, since it waits for processes that have lost their parents.
        first = f"hostname {self.name}; /usr/sbin/sshd -D -e -f {configuration} & wait; sleep 1000"
        space = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._first = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *space, "sh", "-c", first],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PATH": search_path()},
            )

    def die(self) -> None:
        """Everything that runs there ends at once, as when the power goes."""
        if self._first is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._first.pid, signal.SIGKILL)
            self._first.wait(20)
            self._first = None

    def cut(self) -> None:
        """The cable is pulled: nothing arrives any more, and nobody is informed."""
        _ip("link", "set", self.link, "down")

    def mend(self) -> None:
        """The cable is back."""
        _ip("link", "set", self.link, "up")

    def remove(self) -> None:
        """Everything of it."""
        self.die()
        found = _ip("netns", "pids", self.name, check=False)
        for pid in map(int, found.split()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _ip("netns", "del", self.name, check=False)
        shutil.rmtree(Path("/etc/netns", self.name), ignore_errors=True)


class Hosts:
    """The running hosts.

    Args:
        folder: for keys and settings; its path must be absolute.
        number: of hosts.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.net = folder, f"10.{78 + os.getpid() % 100}.{os.getpid() % 251}"
        self.gateway, self.bridge = f"{self.net}.254", f"{prefix()}br"
        self.hosts = [Host(folder, self.net, n + 1) for n in range(number)]
        self.variables = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SLURM")},
            "PATH": f"{folder}/bin:{search_path()}",
        }
        """With which a command reaches them: ``ssh`` knows their names and its key."""

    def __getitem__(self, number: int) -> Host:
        return self.hosts[number]

    def hostfile(self, slots: int = 1) -> Path:
        """The file that ``deepspeed --hostfile`` reads."""
        path = self.folder / f"hostfile{slots}"
        path.write_text("".join(f"{host.name} slots={slots}\n" for host in self.hosts))
        return path

    def on(self, host: Host, *command: str) -> list[str]:
        """A command line that runs a command on a host."""
        return ["ssh", host.name, *command]

    def create(self) -> None:
        """Keys, names, the bridge, the hosts."""
        (self.folder / "bin").mkdir()
        for key in ("key", "host_key"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key)]
            subprocess.run(words, check=True)
        names = "".join(f"{host.address} {host.name}\n" for host in self.hosts)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        named = "".join(f"Host {h.name}\n  HostName {h.address}\n" for h in self.hosts)
        (self.folder / "ssh_config").write_text(named + SSH.format(folder=self.folder))
        shim = self.folder / "bin" / "ssh"
        shim.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {self.folder}/ssh_config "$@"\n')
        shim.chmod(0o755)
        Path("/run/sshd").mkdir(exist_ok=True)
        _ip("link", "add", "name", self.bridge, "type", "bridge")
        _ip("addr", "add", f"{self.gateway}/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        for host in self.hosts:
            host.create(self.bridge, self.gateway)
            self.start(host)

    def start(self, host: Host) -> None:
        """Start a host, for the first time or again, and wait until it answers."""
        host.start()
        for _ in range(100):
            tried = subprocess.run(
                self.on(host, "true"), env=self.variables, capture_output=True, check=False
            )
            if tried.returncode == 0:
                return
            time.sleep(0.1)
        log = (self.folder / f"{host.name}.log").read_text()
        raise AssertionError(f"{host.name} did not come up: {tried.stderr!r} {log}")

    def remove(self) -> None:
        """Everything that `create` made."""
        for host in self.hosts:
            host.remove()
        _ip("link", "del", self.bridge, check=False)


@contextmanager
def running(folder: Path, number: int = 2) -> Iterator[Hosts]:
    """Start hosts and remove every trace of them at the end."""
    made = Hosts(folder.resolve(), number)
    try:
        made.create()
        yield made
    finally:
        made.remove()


def prefix() -> str:
    """Begins the names of this process's hosts and links, of which a kernel knows 15 characters."""
    return f"t{os.getpid()}"


def _ip(*words: str, check: bool = True) -> str:
    command = [shutil.which("ip", path=search_path()) or "ip", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
