"""Whether the launcher is still there, on processes made up in a folder like ``/proc``."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslm.ancestors import gone, launchers

PYTHON = "/venv/bin/python"
RANK = [PYTHON, "launch/pretrain.py", "tiny", "run=deepspeed"]


def process(proc: Path, pid: int, parent: int, words: list[str], began: int = 0) -> None:
    """Write what the kernel shows of a process; names may hold blanks and brackets."""
    (proc / str(pid)).mkdir(exist_ok=True)
    fields = ["S", str(parent), *["0"] * 17, str(began or 100 + pid), "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} (a (b) c) {' '.join(fields)}")
    (proc / str(pid) / "cmdline").write_text("".join(f"{word}\0" for word in words))


def tree(proc: Path, *above: list[str]) -> None:
    """A rank, number 50, and what is above it, nearest first: 49, 48, …"""
    for place, words in enumerate([RANK, *above]):
        process(proc, 50 - place, 49 - place, words)


RUNNER = [PYTHON, "/venv/bin/deepspeed", "--num_gpus", "2", "launch/pretrain.py"]
LAUNCH = [PYTHON, "-u", "-m", "deepspeed.launcher.launch", "--world_info=x", "launch/pretrain.py"]
AGENT = [PYTHON, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
SHELL = ["bash", "-c", "deepspeed --num_gpus 2 launch/pretrain.py; echo done"]

CHAINS = {
    "deepspeed on one host": ("deepspeed", [LAUNCH, RUNNER, SHELL], [49, 48]),
    "deepspeed by its module": (
        *("deepspeed", [LAUNCH, [PYTHON, "-m", "deepspeed.launcher.runner"]], [49, 48]),
    ),
    "deepspeed through pdsh": (
        *("deepspeed", [LAUNCH, ["bash", "-c", " ".join(LAUNCH)], ["sshd: root@notty"]], [49]),
    ),
    "variables set by hand in a shell": ("deepspeed", [["bash", "run.sh", "deepspeed"]], []),
    "torchrun": ("torchrun", [[PYTHON, "/venv/bin/torchrun", "-n2"], SHELL], [49]),
    "torchrun by its module": ("torchrun", [AGENT, SHELL], [49]),
    "mpirun": ("mpirun", [["mpirun", "-n", "2", *RANK], SHELL], [49]),
    "mpirun with a shell between": ("mpirun", [["sh", "-c", "x"], ["/usr/bin/orted"]], [48]),
    "srun": ("srun", [["slurmstepd: [7.0]"], ["/usr/sbin/slurmd"]], [49]),
    "python in a shell": ("python", [["bash"], ["sshd: a@pts/0"]], []),
    "python below PID 1 of a container": ("python", [["/bin/tini", "--", *RUNNER]], []),
}


@pytest.mark.parametrize("name", CHAINS)
def test_only_processes_of_the_launcher_are_watched(name: str, tmp_path: Path) -> None:
    by, above, watched = CHAINS[name]
    tree(tmp_path, *above)
    assert [process.pid for process in launchers(by, tmp_path, 50)] == watched


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    tree(tmp_path, LAUNCH, RUNNER, SHELL)
    return tmp_path


def test_a_launcher_that_is_there_is_not_gone(proc: Path) -> None:
    assert gone(launchers("deepspeed", proc, 50), proc) is None


@pytest.mark.parametrize("pid", [49, 48])
def test_a_launcher_that_has_ended_is_gone(pid: int, proc: Path) -> None:
    """Whoever takes its children over, the process of that number is missing."""
    watched = launchers("deepspeed", proc, 50)
    for file in ("stat", "cmdline"):
        (proc / str(pid) / file).unlink()
    found = gone(watched, proc)
    assert found is not None
    assert found.pid == pid


def test_one_that_has_ended_and_waits_for_its_parent_is_gone(proc: Path) -> None:
    watched = launchers("deepspeed", proc, 50)
    stat = (proc / "48/stat").read_text()
    (proc / "48/stat").write_text(stat.replace(") S ", ") Z "))
    assert gone(watched, proc) is not None


def test_another_process_with_its_number_is_not_the_launcher(proc: Path) -> None:
    watched = launchers("deepspeed", proc, 50)
    process(proc, 48, 1, RUNNER, began=9999)
    assert gone(watched, proc) is not None


def test_a_shell_that_has_ended_does_not_count(proc: Path) -> None:
    watched = launchers("deepspeed", proc, 50)
    (proc / "47/stat").unlink()
    assert gone(watched, proc) is None


def test_without_proc_nothing_is_watched(tmp_path: Path) -> None:
    assert launchers("deepspeed", tmp_path / "none", 50) == ()


def test_what_may_no_longer_be_read_is_taken_to_be_there(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = launchers("deepspeed", proc, 50)

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert gone(watched, proc) is None
