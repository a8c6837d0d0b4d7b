from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers.paths import ROOT

from dslm.commands.pretrain import main
from dslm.config.help import keys
from dslm.run.config import RunConfig
from dslm.run.presets import PRESETS
from dslm.tasks.registry import LEARNED


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    main(list(words))
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_lists_every_preset_and_option(capsys: pytest.CaptureFixture[str], word: str) -> None:
    lines = shown(capsys, word)
    for name, preset in PRESETS.items():
        assert f"  {name:<18}{preset.__doc__}" in lines
    text = "\n".join(lines)
    assert "--deepspeed_config FILE" in text
    assert "--config FILE" in text
    assert "example:\n  python launch/pretrain.py tiny --deepspeed_config" in text
    assert "--local_rank" not in text


@pytest.mark.parametrize("preset", PRESETS)
def test_help_of_a_preset_shows_every_key_with_its_value(
    capsys: pytest.CaptureFixture[str], preset: str
) -> None:
    lines = shown(capsys, preset, "--help")
    assert lines[0].startswith(f"{preset}: ")
    reported = {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "}
    groups = {"model", "data", "data.augmentation", "objective", "schedule"}
    groups |= {"bad_steps", "float8", "lora", "quantization"}
    groups |= {f"objective.{kind}" for kind in LEARNED}
    assert reported == keys(RunConfig).keys() - groups
    layers = PRESETS[preset]().get("model", {}).get("layers")
    default = "required" if layers is None else f"default {layers}"
    assert f"  model.layers  (a whole number; {default})" in lines
    assert "  run  (text; required)" in lines


def test_no_line_of_help_is_too_wide_for_a_terminal_of_a_hundred(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for line in [*shown(capsys, "--help"), *shown(capsys, "gpt2_small", "--help")]:
        if line.startswith("      "):
            assert len(line) <= 100


def test_the_script_shows_help_and_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch" / "pretrain.py"), "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "gpt2_small" in done.stdout
