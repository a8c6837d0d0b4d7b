from __future__ import annotations

import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers.run_folders import LineMaker, RunMaker

from dslm.commands import report
from dslm.report import write_report

HOSTILE = '</pre><script>alert("x")</script><img src="https://example.org/x.png"> & so on'
FACTS: dict[str, Any] = {
    "command": ["deepspeed", "launch/pretrain.py", "tiny", "run=runs/first try", "steps=300"],
    "versions": {"dslm": "0.1.0", "torch": "2.13.0"},
    "config": {
        "preset": "tiny",
        "steps": 300,
        "model": {"vocabulary": 8000, "width": 128, "heads": None},
        "data": {"train": ["shards/train"]},
    },
    "deepspeed": {"gradient_clipping": 1.0, "zero_optimization": {"stage": 2}},
    "plan": {"world": 2, "parameters": 1234567, "device": "cpu"},
    "data": {
        "train": [{"folder": "shards/a", "fingerprint": "aa11"}, {"folder": "shards/b"}],
        "validation": {"folder": "shards/held out", "tokens": 4096},
    },
    "status": "finished",
}


class Page(HTMLParser):
    """Checks that every element is closed in order, and gathers what the page holds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: dict[str, str] = {}
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "srcset")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.words[self.open[-1]] = self.words.get(self.open[-1], "") + data + "\n"


@pytest.fixture
def run(make_run: RunMaker, training: LineMaker) -> Path:
    draw = random.Random(2)
    lines = [
        training(step, 9 / step**0.3 + draw.gauss(0, 0.1), learning_rate=1e-3, gradient_norm=0.5)
        for step in range(1, 301)
    ]
    lines.insert(100, {"step": 100, "validation_loss": 2.75})
    return make_run([*lines, '{"step": 301, "lo'], {"sample.txt": HOSTILE}, **FACTS)


def test_the_page_is_well_formed(run: Path) -> None:
    page = Page(write_report(run))
    assert page.open == []
    assert page.tags.count("figure") == 5
    assert page.tags.count("svg") == 5


@pytest.mark.parametrize(
    ("facts", "look", "shown"),
    [
        ({"status": "running", "ended": None}, "status", "running"),
        (
            {"status": "done", "ended": "all 300 steps made; ok"},
            "status finished",
            "all 300 steps made",
        ),
        ({"status": "failed", "ended": "nan; lower it"}, "status", "failed: nan"),
        ({"status": "preempted", "ended": "stopped by SIGUSR1"}, "status", "stopped by SIGUSR1"),
        ({"status": "all 300 steps made"}, "status finished", "all 300 steps made"),
        ({"status": "failed: nan; lower it"}, "status", "failed: nan"),
    ],
)
def test_only_a_run_that_is_done_is_marked_as_finished(
    facts: dict[str, str], look: str, shown: str, make_run: RunMaker, training: LineMaker
) -> None:
    """The last two are what earlier versions wrote."""
    page = write_report(make_run([training(1, 2.0)], **facts)).read_text(encoding="utf-8")
    assert f'<span class="{look}">{shown}</span>' in page


def test_the_page_needs_nothing_from_outside(run: Path) -> None:
    (run / "sample.txt").unlink()
    path = write_report(run)
    assert Page(path).links == []
    assert not re.search(r"https?:|@import|url\(|<link", path.read_text(encoding="utf-8"))


def test_a_hostile_sample_is_shown_and_not_run(run: Path) -> None:
    page = Page(write_report(run))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert HOSTILE in page.words["pre"]


def test_hostile_facts_are_shown_and_not_run(make_run: RunMaker, training: LineMaker) -> None:
    evil = '"><script>alert(1)</script>'
    facts = {"config": {"preset": evil, evil: evil}, "status": evil, "command": [evil]}
    page = Page(write_report(make_run([training(1, 2.0)], **facts)))
    assert page.tags.count("script") == 1
    assert page.open == []
    assert evil in page.words["td"]


def test_the_configuration_is_in_tables_with_dotted_keys(run: Path) -> None:
    page = Page(write_report(run))
    assert "vocabulary\n" in page.words["th"]
    assert "8000\n" in page.words["td"]
    assert "aa11\n" in page.words["td"]
    assert {"run", "model", "layout", "versions", "train data 1", "validation data"} <= set(
        page.words["caption"].splitlines()
    )
    assert json.dumps(FACTS["deepspeed"], indent=2) in page.words["pre"]


def test_the_commands_can_be_pasted(run: Path) -> None:
    pasted = Page(write_report(run)).words["pre"]
    again = f"deepspeed launch/pretrain.py tiny steps=300 run={run.as_posix()}-again"
    assert f"python launch/evaluate.py {run} --data 'shards/held out' --json" in pasted
    assert f"python launch/generate.py {run} --prompt " in pasted
    assert "deepspeed launch/pretrain.py tiny 'run=runs/first try' steps=300" in pasted
    assert again in pasted


def test_a_run_folder_with_the_least_it_can_hold_has_a_page(make_run: RunMaker) -> None:
    page = Page(write_report(make_run([{"step": 1, "loss": 3.0}])))
    assert page.open == []
    assert page.tags.count("figure") == 1
    assert "table" not in page.tags


def test_a_run_that_only_ever_diverged_has_a_page(make_run: RunMaker, training: LineMaker) -> None:
    page = Page(write_report(make_run([training(step, None) for step in range(1, 101)])))
    assert page.open == []
    assert "Loss not finite" in page.words["b"]


def test_an_older_page_is_replaced_and_nothing_else_is_left(run: Path) -> None:
    (run / "report.html").write_text("old")
    before = {path.name for path in run.iterdir()}
    assert write_report(run) == run / "report.html"
    assert {path.name for path in run.iterdir()} == before
    assert (run / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_text_that_is_no_unicode_does_not_stop_the_page(run: Path) -> None:
    (run / "sample.txt").write_bytes(b"caf\xe9")
    facts = json.loads((run / "run.json").read_text()) | {"status": "\ud800"}
    (run / "run.json").write_text(json.dumps(facts))
    assert Page(write_report(run)).open == []


def test_the_command_prints_the_path_of_the_page(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main([str(run)])
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
