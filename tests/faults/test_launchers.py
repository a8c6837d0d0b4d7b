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


def test_a_mistake_under_the_launcher_is_reported_once_with_exit_code_2(
    tmp_path: Path, arguments: list[str]
) -> None:
    run = tmp_path / "run"
    ended = start([*launcher("deepspeed"), *arguments, f"run={run}", "model.layrs=3"])
    reported = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert reported == ["error: model.layrs = 3: unknown key; did you mean 'model.layers'?"]
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr + ended.stdout
    assert not run.exists()
