"""Texts that a model wrote, as the report shows them: those of one prompt step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.run_folders import training_line, write_run

from dslm.report.record import read_record
from dslm.report.results import SAMPLES, STEPS, samples
from dslm.run.results import add_sample


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", [training_line(1, 2.0)])
    return tmp_path / "run"


def shown(run: Path) -> list[tuple[str, str]]:
    """The prompt and the text of each sample on the page."""
    return [(asked.split("”")[0][6:], text) for asked, text in samples(read_record(run))]


def write(run: Path, step: int, prompt: str, **more: Any) -> None:
    add_sample(run, {"step": step, "prompt": prompt, "text": f"{prompt} {step}", **more})


def test_texts_of_a_prompt_stand_together_by_step_and_the_last_prompt_first(run: Path) -> None:
    for step, prompt in [(300, "a"), (100, "a"), (100, "b"), (200, "a"), (200, "b")]:
        write(run, step, prompt)
    expected = [("b", "b 100"), ("b", "b 200"), ("a", "a 100"), ("a", "a 200"), ("a", "a 300")]
    assert shown(run) == expected


def test_what_was_drawn_otherwise_is_another_question(run: Path) -> None:
    for step in (1, 2):
        for seed in (5, 6):
            write(run, step, "a", seed=seed, temperature=0.5)
    assert [asked.split(" · ")[1:4:2] for asked, _ in samples(read_record(run))] == [
        ["step 1", "seed 6"],
        ["step 2", "seed 6"],
        ["step 1", "seed 5"],
        ["step 2", "seed 5"],
    ]


def test_of_many_steps_the_first_and_the_last_are_among_those_shown(run: Path) -> None:
    for step in range(1, 40):
        write(run, step, "a")
    found = [text for _, text in shown(run)]
    assert len(found) == STEPS
    assert (found[0], found[-1]) == ("a 1", "a 39")


def test_the_newest_prompts_are_shown(run: Path) -> None:
    for number in range(SAMPLES + 3):
        write(run, 1, f"p{number}")
    expected = [f"p{number}" for number in range(SAMPLES + 2, 2, -1)]
    assert [prompt for prompt, _ in shown(run)] == expected
