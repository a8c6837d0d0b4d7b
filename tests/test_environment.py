from __future__ import annotations

import re
import socket
from itertools import combinations
from pathlib import Path

import pytest

from dslm.environment import (
    World,
    check_meeting_point,
    extensions_folder,
    free_port,
    read_world,
)
from dslm.errors import ReportedError, SetupError
from dslm.parallel.world import device

CPU = {"DS_ACCELERATOR": "cpu"}


def test_a_plain_python_is_a_world_of_one() -> None:
    assert read_world(CPU) == World(rank=0, size=1, local_rank=0, local_size=1, cpu=True)


def test_torchrun_sets_rank_and_world() -> None:
    variables = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    assert read_world(CPU | variables) == World(
        rank=5, size=8, local_rank=1, local_size=4, cpu=True, launcher="deepspeed"
    )


def test_deepspeed_calls_the_size_of_a_host_otherwise() -> None:
    variables = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_SIZE": "2"}
    assert read_world(CPU | variables).local_size == 2


def test_a_host_whose_size_is_unknown_is_taken_for_the_only_one() -> None:
    variables = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}
    assert read_world(CPU | variables).local_size == 2


def test_only_rank_zero_is_the_main_rank() -> None:
    variables = {"WORLD_SIZE": "2", **CPU}
    assert [read_world({**variables, "RANK": rank}).is_main for rank in ("0", "1")] == [True, False]


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"])
@pytest.mark.parametrize("text", ["", "one", "-1", "1.0"])
def test_a_variable_that_is_no_number_is_reported(name: str, text: str) -> None:
    with pytest.raises(SetupError, match=f"{name} = '{text}': must be a whole number; start"):
        read_world({"RANK": "0", name: text})


@pytest.mark.parametrize(
    "environment", [CPU, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "-1"}]
)
def test_gpus_can_be_hidden(environment: dict[str, str]) -> None:
    assert read_world(environment).cpu


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_used_when_there_is_one(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr("dslm.parallel.world.os.path.exists", lambda path: there)
    assert read_world({}).cpu is not there


def test_a_rank_computes_on_its_own_device() -> None:
    assert device(World(local_rank=3, cpu=False)) == "cuda:3"
    assert device(World(local_rank=3, cpu=True)) == "cpu"


def test_a_free_port_can_be_bound_and_is_not_one_the_kernel_gives_away() -> None:
    port = free_port()
    assert 20000 <= port < 32000
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))


def test_processes_started_together_look_for_ports_far_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for number in range(4000, 4008):
        monkeypatch.setattr("os.getpid", lambda number=number: number)
        found.append(free_port())
    assert all(abs(one - other) > 900 for one, other in combinations(found, 2))


def test_a_port_in_use_is_passed_over() -> None:
    first = free_port()
    with socket.socket() as server:
        server.bind(("127.0.0.1", first))
        assert free_port() != first


def test_the_folder_of_builds_is_that_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", "/somewhere")
    assert extensions_folder() == Path("/somewhere")
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR")
    assert extensions_folder() == Path.home() / ".cache" / "torch_extensions"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DS_ACCELERATOR": "cuda"}, "there is no NVIDIA GPU to use here; unset it"),
        ({"DS_ACCELERATOR": "xpu"}, "dslm computes on cuda or cpu"),
    ],
)
def test_a_device_that_is_not_here_is_a_mistake(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.path.exists", lambda path: False)
    with pytest.raises(SetupError, match=f"DS_ACCELERATOR = .*: {said}"):
        read_world(variables)
    others = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    with pytest.raises(ReportedError):  # the first process of each host has said it
        read_world(variables | others)
    with pytest.raises(SetupError):
        read_world(variables | others | {"LOCAL_RANK": "0"})


def test_a_gpu_that_is_hidden_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.exists", lambda path: True)
    assert not read_world({"DS_ACCELERATOR": "cuda"}).cpu
    with pytest.raises(SetupError, match="there is no NVIDIA GPU to use here"):
        read_world({"DS_ACCELERATOR": "cuda", "CUDA_VISIBLE_DEVICES": ""})


def test_a_port_that_another_program_uses_is_found_before_a_run_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = World(launcher="deepspeed")
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = str(other.getsockname()[1])
        monkeypatch.setenv("MASTER_PORT", port)
        (problem,) = check_meeting_point(alone)
        assert (problem.where, problem.found) == ("MASTER_PORT", port)
        assert re.search(r"choose a free one: deepspeed --master_port \d+", problem.fix)
        for launcher in ("python", "srun", "mpirun"):  # which give a single process no port
            (problem,) = check_meeting_point(World(launcher=launcher))
            assert (problem.where, problem.fix.partition(":")[0]) == ("MASTER_PORT", "unset it")
        assert check_meeting_point(World(size=2, launcher="deepspeed")) == []
        assert check_meeting_point(World(launcher="torchrun")) == []
    assert check_meeting_point(alone) == []
