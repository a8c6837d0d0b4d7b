"""A real SLURM of two hosts: jobs run, are stopped, lose a host, and follow each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers.hosts import Hosts
from helpers.needs import absent, need
from helpers.slurm import PROGRAMS, Cluster, cluster
from helpers.starting import BIN, SCRIPT, has_checkpoint, losses, start, step, until

pytestmark = [pytest.mark.ranks, pytest.mark.slow]

EACH = ["--nodes=2", "--ntasks-per-node=1"]


@pytest.fixture(scope="module")
def slurm(hosts: Hosts) -> Iterator[Cluster]:
    """The cluster of all tests here; skipped where SLURM is not installed, in CI a failure."""
    need(absent(PROGRAMS))
    with TemporaryDirectory(prefix="slurm") as folder, cluster(Path(folder), hosts) as made:
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, slurm: Cluster, long: list[str]) -> list[float]:
    """The losses of such a run on both hosts that nothing happens to."""
    run = tmp_path_factory.mktemp("whole") / "run"
    command = ["srun", *EACH, "python", SCRIPT, *long, f"run={run}"]
    ended = start(command, variables=slurm.environment)
    assert ended.returncode == 0, ended.stderr
    assert "2 CPU ranks on 2 hosts, started by srun = 2 replicas" in ended.stderr
    assert "resume   srun -N 2 -n 2 python launch/pretrain.py" in ended.stdout
    return losses(run)


def submit(slurm: Cluster, log: Path, *words: str) -> str:
    """Submit a run on both hosts; returns the number of its job."""
    options = ["--nodes", "2", "--ranks", "1", "--log", str(log)]
    ended = start([str(BIN / "dslm"), "submit", *options, *words], variables=slurm.environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def status(run: Path) -> str:
    word: str = json.loads((run / "run.json").read_text())["status"]
    return word


def test_two_hosts_by_srun_give_the_losses_of_one_process(
    whole: list[float], long_plain: list[float]
) -> None:
    assert whole == pytest.approx(long_plain, rel=1e-4)


def test_two_hosts_by_torchrun_give_the_losses_of_one_process(
    tmp_path: Path, slurm: Cluster, hosts: Hosts, arguments: list[str], plain: list[float]
) -> None:
    run = tmp_path / "run"
    meet = ["--rdzv_backend", "c10d", "--rdzv_endpoint", f"{hosts[0].address}:29600"]
    command = ["srun", *EACH, "torchrun", "--nnodes", "2", "--nproc_per_node", "1", *meet]
    ended = start([*command, SCRIPT, *arguments, f"run={run}"], variables=slurm.environment)
    assert ended.returncode == 0, ended.stderr
    assert "2 CPU ranks on 2 hosts, started by torchrun = 2 replicas" in ended.stderr
    assert losses(run) == pytest.approx(plain, rel=1e-4)


def test_a_job_that_is_signalled_saves_is_queued_again_and_goes_on(
    tmp_path: Path, slurm: Cluster, long: list[str], whole: list[float]
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    job = submit(slurm, log, *long, f"run={run}")
    until(lambda: step(run) > 10)
    slurm.ask("scancel", "--batch", "--signal=USR1", job)  # as SLURM does before a time limit
    ended = slurm.wait_for(job, "COMPLETED", "FAILED", "CANCELLED")
    assert (ended["JobState"], ended["Restarts"]) == ("COMPLETED", "1"), log.read_text()
    assert status(run) == "done"
    assert "stopped by SIGUSR1 after step" in log.read_text()
    assert losses(run) == whole


def test_a_job_that_was_queued_again_as_often_as_it_may_ends(
    tmp_path: Path, slurm: Cluster, long: list[str]
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    slurm.environment["DSLM_RESTARTS"] = "0"
    try:
        job = submit(slurm, log, *long, f"run={run}")
    finally:
        del slurm.environment["DSLM_RESTARTS"]
    until(lambda: step(run) > 5)
    slurm.ask("scancel", "--signal=USR1", job)
    ended = slurm.wait_for(job, "COMPLETED", "FAILED", "CANCELLED")
    assert (ended["JobState"], ended["Restarts"]) == ("FAILED", "0")
    assert "DSLM_RESTARTS = 0" in log.read_text()
    assert status(run) == "preempted"


def test_a_job_whose_host_dies_is_queued_again_and_goes_on(
    tmp_path: Path, slurm: Cluster, hosts: Hosts, long: list[str], whole: list[float]
) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    job = submit(slurm, log, *long, f"run={run}")
    until(lambda: has_checkpoint(run))
    hosts[1].die()
    try:
        slurm.wait_for(job, "PENDING")
    finally:
        hosts.start(hosts[1])
        slurm.start_node(hosts[1])
    ended = slurm.wait_for(job, "COMPLETED", "FAILED", "CANCELLED")
    assert (ended["JobState"], ended["Restarts"]) == ("COMPLETED", "1"), log.read_text()
    assert status(run) == "done"
    assert "start    from step" in log.read_text()
    assert losses(run) == whole


def test_a_job_after_one_that_failed_never_starts(
    tmp_path: Path, slurm: Cluster, arguments: list[str]
) -> None:
    command = ["sbatch", "--parsable", "--wrap=false", f"--output={tmp_path}/first"]
    first = start(command, variables=slurm.environment).stdout.strip()
    run = tmp_path / "run"
    second = submit(slurm, tmp_path / "log", "--after", first, *arguments, f"run={run}")
    ended = slurm.wait_for(second, "CANCELLED", "COMPLETED", "FAILED", timeout=60)
    assert ended["JobState"] == "CANCELLED"
    assert not run.exists()


def test_shards_then_training_then_evaluation_follow_each_other(
    tmp_path: Path, slurm: Cluster, shards: Path, arguments: list[str], plain: list[float]
) -> None:
    made, run = tmp_path / "shards", tmp_path / "run"
    given = [word for word in arguments if not word.startswith("data.train=")]
    source, tokenizer = shards.parent / "text.txt", shards.parent / "tokenizer"
    array = ["sbatch", "--parsable", "--array=0-1", "--cpus-per-task=1"]
    array += [f"--output={tmp_path}/shard-%a", "launch/shard.sbatch", "--input", str(source)]
    array += ["--tokenizer", str(tokenizer), "--output", str(made)]
    first = start(array, variables=slurm.environment).stdout.strip()
    words = [*given, f"data.train={made}", f"run={run}"]
    second = submit(slurm, tmp_path / "train", "--after", first, *words)
    after = [f"--dependency=afterok:{second}", "--kill-on-invalid-dep=yes"]
    last = ["sbatch", "--parsable", *after, f"--output={tmp_path}/evaluate"]
    last += ["launch/evaluate.sbatch", str(run), "--data", str(shards)]
    third = start(last, variables=slurm.environment).stdout.strip()
    ended = slurm.wait_for(third, "COMPLETED", "FAILED", "CANCELLED")
    logs = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert ended["JobState"] == "COMPLETED", logs
    assert losses(run) == pytest.approx(plain, rel=1e-4)
    assert "loss" in logs["evaluate"]
