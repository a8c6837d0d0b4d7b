"""Every command of the README, typed as it stands there, in the order in which it stands there.

What is scaled down: the number of steps, the size of GPT-2, and the cluster, which is this machine.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from helpers.paths import ROOT

from dslm.environment import free_port

pytestmark = [pytest.mark.ranks, pytest.mark.slow]

PROGRAMS = Path(sys.executable).parent
SMALL = "model.layers=1 model.heads=2 model.width=32 model.sequence=32".split()  # noqa: SIM905


def commands() -> list[str]:
    """The commands of all uses."""
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```\n(.*?)```", text[text.index("## Use 1") :], re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [
        line for line in lines if line.startswith(("python ", "deepspeed ", "mpirun ", "dslm "))
    ]


def scaled(command: str) -> list[str]:
    """A command as this machine can run it in seconds."""
    words = shlex.split(re.sub(r"\bsteps=\d+", "steps=3", command))
    if "gpt2_small" in words:
        words += SMALL
    if words[0] == "deepspeed":
        local = ["--master_port", str(free_port()), "--no_ssh_check", "--master_addr", "127.0.0.1"]
        return [str(PROGRAMS / "deepspeed"), *local, *words[1:]]
    if words[0] == "mpirun":
        return [str(PROGRAMS / "mpirun"), "--oversubscribe", *words[1:]]
    if words[0] == "dslm":
        return [sys.executable, "-c", "from dslm.commands.main import main; main()", *words[1:]]
    return [sys.executable, *words[1:]]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's scripts, a small corpus, and a hostfile of this machine."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("launch", "preprocess", "ds_configs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "hosts").write_text("localhost slots=2\n")
    (folder / "corpus").mkdir()
    modules = sorted(Path(json.__file__).parents[1].glob("*.py"))
    for split, files in (("train", modules[:60]), ("validation", modules[60:66])):
        for file in files:
            (folder / f"corpus/{split}-{file.stem}.txt").write_text(file.read_text("utf-8"))
    (folder / "crawl").mkdir()
    texts = [text for text in topics.values() if len(text) > 3000][:30]
    pages = [json.dumps({"text": text}) for text in texts]
    (folder / "crawl" / "pages.jsonl.gz").write_bytes(gzip.compress("\n".join(pages).encode()))
    (folder / "crawl" / "more.csv").write_text('id,text\n1,"too short"\n')
    return folder


def test_the_readme_has_the_commands_of_its_uses() -> None:
    assert len(commands()) >= 17


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.split(" --")[0][:60])
def test_a_command_of_the_readme_works(command: str, desk: Path) -> None:
    environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    environment["PATH"] = f"{PROGRAMS}:{environment['PATH']}"  # mpirun runs a plain python
    environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    ended = subprocess.run(
        scaled(command),
        cwd=desk,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()
    assert "Traceback" not in ended.stderr
