"""Which launcher started a process: its variables, as each of them was seen to set them."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from dslm.launchers import Started, expand, leave_message, started

SRUN = {
    "SLURM_JOB_ID": "1071",
    "SLURM_STEP_ID": "2",
    "SLURM_PROCID": "3",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "5",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_STEP_NODELIST": "gpu[07-08],login1",
}
BY_SRUN = Started("srun", 3, 5, 1, 2, "gpu07", 20000 + (31 * 1071 + 2) % 12000)
OPENMPI = {
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}
HYDRA = {"PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}
TORCH = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}

CASES = {
    "python": ({}, None),
    "python in the script of a job": (
        {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"},
        None,
    ),
    "srun": (SRUN, BY_SRUN),
    "srun --mpi=pmi2": ({**SRUN, "PMI_RANK": "3", "PMI_SIZE": "5"}, BY_SRUN),
    "srun torchrun": (
        {**SRUN, **TORCH, "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "x"},
        Started("torchrun", 3, 4, 1, 2),
    ),
    "deepspeed in a job": ({**SRUN, **TORCH, "LOCAL_SIZE": "2"}, Started("deepspeed", 3, 4, 1, 2)),
    "mpirun": (OPENMPI, Started("mpirun", 3, 4, 1, 2)),
    "mpirun in a job": ({**SRUN, **OPENMPI}, Started("mpirun", 3, 4, 1, 2)),
    "mpiexec of MPICH": (HYDRA, Started("mpiexec", 3, 4, 1, 2)),
    "mpiexec of MPICH in a job": ({**SRUN, **HYDRA}, Started("mpiexec", 3, 4, 1, 2)),
    "another mpiexec": ({"PMI_RANK": "3", "PMI_SIZE": "4"}, Started("mpiexec", 3, 4, 3, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_each_launcher_is_known_by_what_it_sets(name: str) -> None:
    variables, found = CASES[name]
    assert started(variables) == found


@pytest.mark.parametrize(
    ("nodes", "hosts"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a[1-3,7]", ["a1", "a2", "a3", "a7"]),
        ("a[08-11]", ["a08", "a09", "a10", "a11"]),
        ("a1-b[1-2]c,d", ["a1-b1c", "a1-b2c", "d"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
    ],
)
def test_a_list_of_hosts_is_read_as_slurm_writes_it(nodes: str, hosts: list[str]) -> None:
    assert list(expand(nodes)) == hosts


def test_the_steps_of_a_job_meet_at_ports_of_their_own() -> None:
    ports = {started({**SRUN, "SLURM_STEP_ID": str(step)}) for step in range(20)}
    assert len({by.port for by in ports if by is not None}) == 20


def test_torchrun_reads_the_message_that_is_left_for_it(tmp_path: Path) -> None:
    file = tmp_path / "error.json"
    leave_message(file, "error: stpes = 3: unknown key\nerror: run: is required")
    failure = ProcessFailure(0, 7, 2, str(file))
    shown = str(ChildFailedError("pretrain.py", {0: failure}))
    assert "traceback : error: stpes = 3: unknown key\n  error: run: is required" in shown


def test_a_message_that_cannot_be_left_hides_nothing(tmp_path: Path) -> None:
    leave_message(tmp_path / "gone" / "error.json", "error: x")
    assert not (tmp_path / "gone").exists()
