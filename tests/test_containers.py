"""The Containerfile and the manifest for Kubernetes agree with each other and with the scripts."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from helpers.manifest import container, documents, pod
from helpers.paths import ROOT

from dslm.cluster.hostfile import read_hostfile
from dslm.commands.check import main as check
from dslm.commands.cli import run

CONTAINERFILE = (ROOT / "Containerfile").read_text()


def test_the_image_has_the_scripts_where_the_pods_look_for_them() -> None:
    assert f"podman build -t {container()['image']} ." in CONTAINERFILE
    assert f"WORKDIR {container()['workingDir']}\n" in CONTAINERFILE
    (script,) = container()["command"]
    assert os.access(ROOT / script, os.X_OK)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not {"launch", "dslm", "ds_configs", "constraints.txt", "pyproject.toml"} & set(ignored)


def test_the_image_has_what_the_makefile_installs() -> None:
    def installs(text: str) -> list[list[str]]:
        commands = re.findall(r"pip install (.*?)(?:\\\n|\n|$)", text)
        ours = {"--quiet", "--no-cache-dir", "--constraint", "constraints.txt"}
        given = [[word for word in shlex.split(one) if word not in ours] for one in commands]
        return [words for words in given if words != ["--upgrade", "pip"]]

    made = (ROOT / "Makefile").read_text().partition(".venv/ready: ")[2]
    assert installs(CONTAINERFILE) == [["torch"], ["--editable", "."]]
    assert installs(made) == [["torch"], ["--editable", ".[dev]"]]


def test_the_image_has_the_programs_that_the_scripts_call() -> None:
    packages = {"pkill": "procps", "ssh": "openssh-client", "pdsh": "pdsh", "c++": "g++"}
    installed = CONTAINERFILE.split()
    assert set(packages.values()) <= set(installed)
    assert "pkill" in (ROOT / "launch" / "container.sh").read_text()


def test_there_is_a_pod_for_each_host_of_the_hostfile(tmp_path: Path) -> None:
    found, job = documents(), documents()["Job"]
    name = job["metadata"]["name"]
    (tmp_path / "hosts").write_text(found["ConfigMap"]["data"]["hosts"])
    hosts, problems = read_hostfile(tmp_path / "hosts")
    assert problems == []
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == len(hosts)
    assert list(hosts) == [f"{name}-{n}.{pod()['subdomain']}" for n in range(len(hosts))]
    assert set(hosts.values()) == {container()["resources"]["limits"]["nvidia.com/gpu"]}
    service = found["Service"]
    assert service["metadata"]["name"] == pod()["subdomain"]
    assert service["spec"]["selector"] == {"job-name": name}


def test_every_path_of_a_pod_is_mounted_or_in_the_image() -> None:
    mounts = {one["name"]: one["mountPath"] for one in container()["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    assert set(mounts) == set(volumes)
    assert volumes["hosts"]["configMap"]["name"] == documents()["ConfigMap"]["metadata"]["name"]
    values = {one["name"]: one.get("value") for one in container()["env"]}
    assert values["HOSTFILE"] == f"{mounts['hosts']}/hosts"
    assert values["MASTER_ADDR"] == next(iter(documents()["ConfigMap"]["data"]["hosts"].split()))
    words = container()["args"]
    paths = [word.partition("=")[2] for word in words if "=/" in word]
    assert len(paths) == 2
    assert all(path.startswith(f"{mounts['work']}/") for path in paths)
    assert (ROOT / words[words.index("--deepspeed_config") + 1]).is_file()


def test_the_run_of_the_pods_is_a_right_one_for_their_gpus() -> None:
    gpus = f"{container()['resources']['limits']['nvidia.com/gpu']}xH100-80G"
    hosts = documents()["Job"]["spec"]["completions"]
    words = [word for word in container()["args"] if not word.startswith("data.train=")]
    assert run(check, [*words, "--hosts", str(hosts), "--gpus", gpus]) == 0
