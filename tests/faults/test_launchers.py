"""The real launchers: deepspeed, torchrun, mpirun, srun and plain python give the same run."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers.needs import absent, need
from helpers.slurm import PROGRAMS, cluster
from helpers.starting import BIN, SCRIPT, losses, start

from dslm.environment import free_port

pytestmark = [pytest.mark.ranks, pytest.mark.slow]


def launcher(name: str) -> list[str]:
    port = str(free_port())
    return {
        "deepspeed": [str(BIN / "deepspeed"), "--num_gpus", "2", "--master_port", port, SCRIPT],
        "torchrun": [
            *(sys.executable, "-m", "torch.distributed.run"),
            *("--nproc_per_node", "2", "--master_port", port, SCRIPT),
        ],
        "mpirun": [
            *(str(BIN / "mpirun"), "-n", "2", "--allow-run-as-root", "--oversubscribe"),
            *(sys.executable, SCRIPT),
        ],
    }[name]


@pytest.mark.parametrize("name", ["deepspeed", "torchrun", "mpirun"])
def test_a_launcher_gives_the_losses_of_plain_python(
    name: str, tmp_path: Path, arguments: list[str], plain: list[float]
) -> None:
    run = tmp_path / "run"
    ended = start([*launcher(name), *arguments, f"run={run}"])
    assert ended.returncode == 0, ended.stderr
    assert losses(run) == pytest.approx(plain, rel=1e-4)
    assert f"2 CPU ranks, started by {name} = 2 replicas" in ended.stderr
    assert "all 4 steps made" in ended.stdout
    assert f"evaluate python launch/evaluate.py {run}" in ended.stdout


def test_srun_gives_the_losses_of_plain_python(
    tmp_path: Path, arguments: list[str], plain: list[float]
) -> None:
    need(absent(PROGRAMS))
    run = tmp_path / "run"
    command = ["srun", "--ntasks", "2", sys.executable, SCRIPT, *arguments, f"run={run}"]
    with TemporaryDirectory(prefix="slurm") as folder, cluster(Path(folder)) as slurm:
        ended = start(command, variables=slurm.environment)
    assert ended.returncode == 0, ended.stderr
    assert losses(run) == pytest.approx(plain, rel=1e-4)
    assert "2 CPU ranks, started by srun = 2 replicas" in ended.stderr
    assert "resume   srun -n 2 python launch/pretrain.py" in ended.stdout


def test_a_hostfile_with_this_machine_gives_the_losses_of_plain_python(
    tmp_path: Path, arguments: list[str], plain: list[float]
) -> None:
    (tmp_path / "hosts").write_text("localhost slots=2\n")
    run, port = tmp_path / "run", str(free_port())
    options = ["--hostfile", str(tmp_path / "hosts"), "--master_port", port, "--no_ssh_check"]
    options += ["--master_addr", "127.0.0.1"]
    ended = start([str(BIN / "deepspeed"), *options, SCRIPT, *arguments, f"run={run}"])
    assert ended.returncode == 0, ended.stderr
    assert losses(run) == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "code", "before_the_end"),
    [
        ("deepspeed", 2, 1),  # its own line with the exit code follows
        ("torchrun", 1, 1),  # within its report, whose last line is drawn
        ("mpirun", 2, None),  # its notice of the exit code follows
    ],
)
def test_a_mistake_under_a_launcher_is_reported_once_and_at_the_end(
    name: str, code: int, before_the_end: int | None, tmp_path: Path, arguments: list[str]
) -> None:
    run = tmp_path / "run"
    command = [*launcher(name), *arguments, f"run={run}", "model.layrs=3"]
    ended = start(["sh", "-c", 'exec "$@" 2>&1', "sh", *command])  # both streams in their order
    said = "error: model.layrs = 3: unknown key; did you mean 'model.layers'?"
    lines = ended.stdout.splitlines()
    assert lines.count(said) == 1
    assert ended.returncode == code
    if before_the_end is not None:
        assert lines[-1 - before_the_end].endswith(said)
    if name != "torchrun":  # which shows where it was itself
        assert "Traceback" not in ended.stdout
    assert "MPI_ABORT" not in ended.stdout
    assert not run.exists()
