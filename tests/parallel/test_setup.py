from __future__ import annotations

import os
import shutil
import time
from collections import namedtuple
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from dslm.parallel import setup
from dslm.parallel.devices import DEVICES, WITHOUT_FLOAT8
from dslm.parallel.setup import (
    STALE_AFTER,
    check_builds,
    check_disk,
    check_float8,
    check_gpu_float8,
    check_graphs,
    check_monitors,
)

Usage = namedtuple("Usage", "free")


def test_a_missing_compiler_is_reported_with_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    reported = [str(problem) for problem in check_builds(["cpu_adam"], tmp_path)]
    assert [line.partition(":")[0] for line in reported] == ["c++", "ninja"]
    assert reported[0] == (
        "c++: is not installed, but DeepSpeed must compile cpu_adam; "
        "install g++, or choose an optimizer with torch_adam = true"
    )


def test_where_nothing_is_compiled_no_compiler_is_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    assert check_builds([], tmp_path) == []


@pytest.mark.parametrize(
    ("architectures", "problems"),
    [("", 0), ("8.0;9.0+PTX", 0), ("8.0 9.0", 0), ("9.0a", 1), ("8.0;Hopper", 1)],
)
def test_an_architecture_that_deepspeed_cannot_read_is_reported(
    architectures: str, problems: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslm.parallel.setup.shutil.which", lambda tool: tool)
    reported = [str(problem) for problem in check_builds(["fused_lamb"], tmp_path, architectures)]
    assert len(reported) == problems
    assert all(line.startswith(f"TORCH_CUDA_ARCH_LIST = '{architectures}': ") for line in reported)
    assert check_builds([], tmp_path, architectures) == []


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock that some build of cpu_adam has taken."""
    monkeypatch.setattr("dslm.parallel.setup.shutil.which", lambda tool: tool)
    path = tmp_path / "py311_cpu" / "cpu_adam" / "lock"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_a_lock_left_by_a_killed_build_is_reported(lock: Path, tmp_path: Path) -> None:
    long_ago = time.time() - STALE_AFTER - 60
    os.utime(lock, (long_ago, long_ago))
    (problem,) = check_builds(["cpu_adam"], tmp_path)
    assert str(problem).startswith(f"{lock}: was left by a build that was killed")
    assert str(problem).endswith("remove this file")
    assert check_builds(["fused_adam"], tmp_path) == []


def test_a_build_that_goes_on_is_waited_for(lock: Path, tmp_path: Path) -> None:
    long_ago = time.time() - STALE_AFTER - 60
    os.utime(lock, (long_ago, long_ago))
    (lock.parent / "cpu_adam.o").touch()
    assert check_builds(["cpu_adam"], tmp_path) == []


@pytest.mark.parametrize(("free", "problems"), [(4000, 0), (3999, 1)])
def test_one_checkpoint_more_than_are_kept_must_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, problems: int
) -> None:
    monkeypatch.setattr("dslm.parallel.setup.shutil.disk_usage", lambda folder: Usage(free))
    reported = check_disk(tmp_path / "not" / "there", 1000, keep=3)
    assert len(reported) == problems


def test_a_full_disk_is_reported_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dslm.parallel.setup.shutil.disk_usage", lambda folder: Usage(1_500_000))
    (problem,) = check_disk(tmp_path, 1e6, keep=3)
    assert str(problem) == (
        f"{tmp_path}: has 1.5MB free, but 3 + 1 checkpoints take 4MB; "
        "free some space, or set keep=1, keep_best=false or another run="
    )


def test_checkpoints_that_are_there_take_no_more_space(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert check_disk(tmp_path, free, keep=3)
    assert not check_disk(tmp_path, free, keep=3, existing=int(3.5 * free))


def test_8_bit_floats_need_torchao(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_float8("cpu") == []
    monkeypatch.setattr(setup, "find_spec", {}.get)
    (problem,) = check_float8("cpu")
    assert str(problem) == (
        "precision = 'fp8': needs torchao, which is not installed; "
        "pip install 'dslm[fp8]', or use precision=bf16"
    )


@pytest.mark.parametrize(
    ("name", "capability", "has"),
    [
        ("NVIDIA A100-SXM4-80GB", (8, 0), False),
        ("NVIDIA A100-SXM4-80GB", None, False),
        ("NVIDIA GeForce RTX 3060", (8, 6), False),
        ("NVIDIA L4", (8, 9), True),
        ("NVIDIA H200", (9, 0), True),
        ("one of tomorrow", (13, 0), True),
        ("AMD Instinct MI250X", (9, 0), False),
        ("AMD Instinct MI300X", (9, 4), True),
    ],
)
def test_8_bit_floats_need_a_gpu_that_has_them(
    name: str, capability: tuple[int, int] | None, has: bool
) -> None:
    found = [problem.where for problem in check_gpu_float8(name, capability)]
    assert found == ([] if has else ["precision"])


def test_the_gpus_without_8_bit_floats_are_in_the_table() -> None:
    assert DEVICES.keys() > WITHOUT_FLOAT8


@pytest.mark.parametrize(
    ("config", "tensorboard", "lines"),
    [
        ({"wandb": {"enabled": False}, "csv_monitor": {"enabled": True}}, False, []),
        ({"wandb": {"enabled": True}}, False, ["wandb.enabled: pip install wandb"]),
        ({"comet": {"enabled": True}}, True, ["comet.enabled: pip install 'comet_ml>=3.41.0'"]),
    ],
)
def test_metrics_for_a_package_that_is_not_installed_are_reported(
    config: dict[str, Any], tensorboard: bool, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of its name, here that of wandb, is no package."""
    folder, package = ModuleSpec("wandb", None), ModuleSpec("tensorboard", None, origin="there.py")
    monkeypatch.setattr(setup, "find_spec", {"wandb": folder, "tensorboard": package}.get)
    problems = check_monitors(config, tensorboard)
    assert [f"{one.where}: {one.fix.partition(',')[0]}" for one in problems] == lines


def test_event_files_without_tensorboard_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "find_spec", {}.get)
    (problem,) = check_monitors({}, tensorboard=True)
    assert str(problem) == (
        "tensorboard = True: needs tensorboard, which is not installed; "
        "pip install 'dslm[tensorboard]', or leave it out"
    )


def test_blocks_are_compiled_where_there_is_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslm.parallel.setup.shutil.which", lambda tool: tool)
    assert check_graphs(True, "g++") == []
    monkeypatch.setattr(
        "dslm.parallel.setup.find_spec", lambda name: ModuleSpec(name, None, origin="there")
    )
    assert check_graphs(False, "g++") == []


def test_what_is_missing_to_compile_blocks_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("dslm.parallel.setup.sysconfig.get_path", lambda _: str(tmp_path))
    assert [str(problem) for problem in check_graphs(True, "clang++")] == [
        "clang++: is not installed, but compile=true needs a C++ compiler; "
        "install g++, or leave compile=true out",
        f"{tmp_path}/Python.h: is missing, but compile=true needs the headers of Python; "
        "install python3-dev, or leave compile=true out",
    ]
    monkeypatch.setattr("dslm.parallel.setup.find_spec", lambda _: None)
    assert [str(problem) for problem in check_graphs(False, "g++")] == [
        "compile = True: needs triton, which is not installed; "
        "pip install triton, or leave compile=true out"
    ]
