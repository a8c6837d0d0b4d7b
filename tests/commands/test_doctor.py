"""What the doctor finds, on machines that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from dslm.commands import doctor
from dslm.commands.cli import run
from dslm.environment import mpirun_refuses


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without GPUs where all is well."""
    for name, found in {"_gpus": list, "_machine": lambda _: [], "has_mpi": lambda: True}.items():
        monkeypatch.setattr(doctor, name, found)
    monkeypatch.setattr(doctor, "stale_locks", lambda _: [])
    return monkeypatch


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Any:
    def asked() -> tuple[int, list[str]]:
        code = run(doctor.main, [])
        return code, capsys.readouterr().out.splitlines()

    return asked


def test_the_last_word_is_ready(machine: pytest.MonkeyPatch, asked: Any) -> None:
    code, lines = asked()
    assert (code, lines[-1]) == (0, "ready")
    assert any(line.startswith("torch ") and "tested with" in line for line in lines)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (None, "torch: is not installed; pip install"),
        ("1.13.1", "torch = '1.13.1': must be at least"),
    ],
)
def test_a_package_that_will_not_do_is_the_last_word(
    version: str | None, said: str, machine: pytest.MonkeyPatch, asked: Any
) -> None:
    before = doctor.installed
    machine.setattr(doctor, "installed", lambda n: version if n == "torch" else before(n))
    code, lines = asked()
    assert code == 2
    assert lines[-1].startswith(f"not ready: {said}")
    assert "ready" not in lines


def test_torch_for_the_cpu_beside_gpus_is_not_ready(
    machine: pytest.MonkeyPatch, asked: Any
) -> None:
    before = doctor.installed
    machine.setattr(doctor, "_gpus", lambda: ["NVIDIA H100, 81559 MiB"])
    machine.setattr(doctor, "installed", lambda n: "9.9.0+cpu" if n == "torch" else before(n))
    code, lines = asked()
    assert code == 2
    assert lines[-1].startswith("not ready: torch = '9.9.0+cpu': is built without CUDA")


def test_gpus_are_named_and_little_shared_memory_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "SHM", float("inf"))
    monkeypatch.setenv("DS_ACCELERATOR", "tpu")
    problems = list(doctor._machine(["NVIDIA H100, 81559 MiB"] * 2))
    assert "GPUs        2 × NVIDIA H100, 81559 MiB\n" in capsys.readouterr().out
    assert [problem.where for problem in problems][:2] == ["DS_ACCELERATOR", "/dev/shm"]
    assert problems[1].fix == "start the container with --shm-size 8g"


@pytest.mark.parametrize(
    ("user", "allowed", "refused"), [(0, "", True), (0, "1", False), (1000, "", False)]
)
def test_mpirun_refuses_root_unless_it_is_told_twice(
    user: int, allowed: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, allowed)
    assert mpirun_refuses() is refused


def test_the_versions_tested_are_those_of_this_python() -> None:
    lines = ['numpy==2.4.6; python_version >= "3.11"', 'numpy==2.2.6; python_version < "3.11"']
    assert doctor.CONSTRAINT.findall("\n".join([*lines, "torch==2.13.0"])) == [
        ("numpy", "2.4.6", ">=", "11"),
        ("numpy", "2.2.6", "<", "11"),
        ("torch", "2.13.0", "", ""),
    ]
    assert len(doctor._tested()) > 10
