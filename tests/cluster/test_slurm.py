"""What ``dslm submit`` asks SLURM for, and what the batch script does with how a run ended."""

from __future__ import annotations

from typing import Any

import pytest

from dslm.cluster.slurm import Allocation


def test_what_is_asked_for_becomes_options_of_sbatch() -> None:
    asked = Allocation(4, 8, 8, 12, "2-00:00:00", "gpu", "team", "17", "%j out.log")
    assert asked.problems() == []
    assert asked.command("x.sbatch", ["tiny", "run=a b"]) == [
        "sbatch",
        "--parsable",
        "--nodes=4",
        "--ntasks-per-node=8",
        "--gpus-per-node=8",
        "--cpus-per-task=12",
        "--time=2-00:00:00",
        "--partition=gpu",
        "--account=team",
        "--output=%j out.log",
        "--dependency=afterok:17",
        "--kill-on-invalid-dep=yes",
        "x.sbatch",
        "tiny",
        "run=a b",
    ]


def test_what_is_not_asked_for_is_left_to_slurm() -> None:
    least = ["sbatch", "--parsable", "--nodes=1", "--ntasks-per-node=1", "x.sbatch"]
    assert Allocation().command("x.sbatch", []) == least


@pytest.mark.parametrize(
    ("wrong", "reported"),
    [
        ({"nodes": 0}, "--nodes = 0: must be at least 1"),
        ({"ranks": 4, "gpus": 8}, "--gpus = 8: each of the 4 ranks of a host uses one GPU"),
        ({"time": "2 days"}, "--time = '2 days': is no time limit"),
        ({"partition": "-x"}, "--partition = '-x': is no name"),
        ({"after": "17:18"}, "--after = '17:18': must be the number of a job"),
        ({"log": "no such/%j.log"}, "--log = 'no such/%j.log': there is no folder no such"),
    ],
)
def test_what_slurm_could_not_take_is_reported(wrong: dict[str, Any], reported: str) -> None:
    (problem,) = Allocation(**wrong).problems()
    assert str(problem).startswith(reported)
