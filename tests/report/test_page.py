from __future__ import annotations

import json
import os
import random
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from helpers.pages import Page
from helpers.run_folders import LineMaker, RunMaker

from dslm.commands import report
from dslm.config.overrides import merge
from dslm.config.parse import parse
from dslm.report import write_comparison, write_report
from dslm.report.index import write_index
from dslm.report.markup import breakable
from dslm.report.recipe import changed, machine, tables
from dslm.report.record import read_record
from dslm.report.summary import read_summary
from dslm.run.config import RunConfig
from dslm.run.presets import tiny

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
    assert page.tags.count("figure") == page.tags.count("svg") == 5


@pytest.mark.parametrize(
    ("facts", "look", "shown"),
    [
        ({"status": "running", "ended": None}, "status broken", "crashed"),
        (
            {"status": "done", "ended": "all 300 steps made; ok"},
            "status finished",
            "all 300 steps made",
        ),
        ({"status": "failed", "ended": "nan; lower it"}, "status broken", "failed: nan"),
        ({"status": "preempted", "ended": "stopped by SIGUSR1"}, "status", "stopped by SIGUSR1"),
        ({"status": "all 300 steps made"}, "status finished", "all 300 steps made"),
        ({"status": "failed: nan; lower it"}, "status broken", "failed: nan"),
    ],
)
def test_only_a_run_that_is_done_is_marked_as_finished(
    facts: dict[str, str], look: str, shown: str, make_run: RunMaker, training: LineMaker
) -> None:
    """The last two are what earlier versions wrote."""
    page = write_report(make_run([training(1, 2.0)], **facts)).read_text(encoding="utf-8")
    assert f'<span class="{look}">{shown}</span>' in page


def test_the_page_links_only_files_of_the_run(run: Path, tmp_path: Path) -> None:
    (run / "sample.txt").unlink()
    for path in (write_report(run), write_report(run, tmp_path / "page.html")):
        links = Page(path).links
        assert [Path(link).name for link in links] == ["metrics.jsonl", "run.json"]
        assert all((path.parent / link).is_file() for link in links)
        assert not re.search(r"https?:|@import|url\(|<link", path.read_text(encoding="utf-8"))


def test_a_hostile_sample_is_shown_and_not_run(run: Path) -> None:
    page = Page(write_report(run))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert HOSTILE in page.texts["pre"]


def test_hostile_facts_are_shown_and_not_run(make_run: RunMaker, training: LineMaker) -> None:
    evil = '"><script>alert(1)</script>'
    facts = {"config": {"preset": evil, evil: evil}, "status": evil, "command": [evil]}
    page = Page(write_report(make_run([training(1, 2.0)], **facts)))
    assert page.tags.count("script") == 1
    assert page.open == []
    assert evil in page.texts["td"]


def test_the_configuration_is_in_tables_with_dotted_keys(run: Path) -> None:
    page = Page(write_report(run))
    assert "vocabulary" in page.texts["th"]
    assert {"8,000", "aa11", "shards/held out"} <= set(page.texts["td"])
    assert {"run", "model", "layout", "machine and code", "train data 1", "validation data"} <= set(
        page.texts["caption"]
    )
    assert json.dumps(FACTS["deepspeed"], indent=2) in page.texts["pre"]


def test_what_is_not_the_presets_stands_first_with_what_the_preset_has(
    make_run: RunMaker, training: LineMaker
) -> None:
    settings = {"preset": "tiny", "data": {"train": "shards/a"}, "run": "runs/a", "steps": 1000}
    config = asdict(parse(RunConfig, merge(tiny(), settings)))
    record = read_record(make_run([training(1, 2.0)], config=config))
    assert changed(record) == [
        ("data.train", "shards/a", ""),
        ("steps", "1,000", "300"),
        ("run", "runs/a", ""),
    ]
    assert "steps" in dict(tables(record)["run"])


def test_the_page_says_where_when_and_by_which_code(
    make_run: RunMaker, training: LineMaker
) -> None:
    facts = {
        "started": "2026-11-29T20:00:00+00:00",
        "stopped": "2026-11-29T22:30:00+01:00",
        "machine": {"hosts": ["a", "b"], "device": "NVIDIA H200"},
        "code": {"commit": "d94eab8", "dirty": True},
    }
    record = read_record(make_run([training(1, 2.0)], **facts))
    assert machine(record) == [
        ("started", "2026-11-29 20:00:00 UTC"),
        ("ended", "2026-11-29 21:30:00 UTC"),
        ("from start to end", "1h30m"),
        ("hosts", "a, b"),
        ("device", "NVIDIA H200"),
        ("commit of dslm", "d94eab8 with local changes"),
    ]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("runs/demo/shards", "runs/<wbr>demo/<wbr>shards"),
        ("data.validation_windows", "data.<wbr>validation_<wbr>windows"),
        ("best 4.2718 at step 1,000", "best 4.2718 at step 1,000"),
        ("a/<b>", "a/<wbr>&lt;b&gt;"),
    ],
)
def test_long_names_break_at_their_separators_and_numbers_do_not(text: str, broken: str) -> None:
    assert breakable(text) == broken


def test_the_commands_can_be_pasted(run: Path) -> None:
    pasted = "\n".join(Page(write_report(run)).texts["pre"])
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
    assert "Loss not finite" in page.texts["b"]


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


def test_files_whose_names_are_no_unicode_are_linked(
    make_run: RunMaker, training: LineMaker, tmp_path: Path
) -> None:
    names = [os.fsdecode(name) for name in (b"caf\xe9", b"\xff", b"a?b%20#c")]
    runs = [make_run([training(1, 2.0)], None, name) for name in names]
    reports = [write_report(run) for run in runs]
    comparison, index = tmp_path / "comparison.html", tmp_path / "index.html"
    write_comparison(runs, comparison)
    write_index([read_summary(run) for run in runs], tmp_path, index)
    for page in (comparison, index):
        linked = [tmp_path / os.fsdecode(unquote_to_bytes(link)) for link in Page(page).links]
        assert linked == reports
    (report, *_) = reports
    linked = [os.fsdecode(unquote_to_bytes(link)) for link in Page(report).links]
    assert linked == ["metrics.jsonl", "run.json"]


def test_the_command_prints_the_path_of_the_page(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main([str(run)])
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
