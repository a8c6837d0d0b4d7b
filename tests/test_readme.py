"""Every command of the README, typed as it stands there, in the order in which it stands there.

What is scaled down: the number of steps, the size of GPT-2, and the cluster, which is this machine.
What the README shows of their output must be printed so, but for numbers.
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


def shown(language: str) -> list[str]:
    """The lines within fences of a language in all uses; commands have none."""
    lines, inside = [], None
    text = (ROOT / "README.md").read_text()
    for line in text[text.index("## Use 1") :].splitlines():
        if line.startswith("```"):
            inside = line.removeprefix("```") if inside is None else None
        elif inside == language and line.strip():
            lines.append(line)
    return lines


def commands() -> list[str]:
    """The commands of all uses, without the comments behind them."""
    lines = "\n".join(shown("")).replace("\\\n", " ").splitlines()
    starts = ("python ", "deepspeed ", "mpirun ", "dslm ")
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith(starts)]


def masked(line: str) -> str:
    """A line without its numbers and durations."""
    return re.sub(r"\d[\d.,]*([kMGT]|e-?\d+)?([smhd]\d*)*", "#", line.strip())


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
    for file in modules[:66]:
        for number, part in enumerate(re.split(r"\n(?=class |def )", file.read_text("utf-8"))):
            (folder / f"corpus/{file.stem}-{number}.txt").write_text(part)
    (folder / "crawl").mkdir()
    texts = [text for text in topics.values() if len(text) > 3000][:30]
    pages = [json.dumps({"text": text}) for text in texts]
    (folder / "crawl" / "pages.jsonl.gz").write_bytes(gzip.compress("\n".join(pages).encode()))
    (folder / "crawl" / "more.csv").write_text('id,text\n1,"too short"\n')
    return folder


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """The lines that the commands have printed, masked."""
    return []


def test_the_readme_has_the_commands_of_its_uses() -> None:
    assert len(commands()) >= 17


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.split(" --")[0][:60])
def test_a_command_of_the_readme_works(command: str, desk: Path, printed: list[str]) -> None:
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
    if "--quiet" in command:  # the launcher adds no line to the first screen and the last one
        assert (ended.stderr[:5], ended.stdout[:5]) == ("dslm ", "ended")
    printed += map(masked, (ended.stdout + ended.stderr).splitlines())


def test_what_the_readme_shows_is_printed(printed: list[str]) -> None:
    if not printed:
        pytest.skip("needs the commands above to run first")
    assert shown("text")
    assert [line for line in shown("text") if masked(line) not in printed] == []
