"""``dslm profile``: what the time of real steps is spent on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import together

from dslm.commands.cli import run
from dslm.commands.profile import main
from dslm.train.step_shares import SHARES

pytestmark = pytest.mark.ranks


@pytest.mark.parametrize("stages", [1, 2])
def test_the_shares_of_real_steps_are_those_of_their_operations(
    stages: int, words: list[str], tmp_path: Path
) -> None:
    file, trace = tmp_path / "deepspeed.json", tmp_path / "trace.json.gz"
    file.write_text(json.dumps(deepspeed(1)))
    more = [f"pipeline_stages={stages}", f"run={tmp_path / 'kept'}", "steps=2"]
    options = ["--deepspeed_config", str(file), "--trace", str(trace), "--json", "--steps", "2"]
    ended = together("profile", [*words, *more, *options], tmp_path / "profile", 2)
    assert ended.code == 0, ended.messages
    found = json.loads(ended.results)
    assert found["steps"] == 2
    assert found["seconds"] > 0
    shares = found["shares"]
    assert list(shares) == list(SHARES)
    assert sum(shares.values()) == pytest.approx(1)
    own = ("attention", "matrix products", "optimizer", "communication", "other operations")
    assert all(shares[name] > 0 for name in own), shares
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    names = {event.get("name") for event in events}
    assert {"step", "aten::addmm", "data"} <= names
    assert not (tmp_path / "kept").exists(), "nothing is written but the trace"


def test_all_mistakes_are_reported_at_once(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*words, "stpes=3", "--steps", "0", "--trace", str(tmp_path / "no" / "trace.json")]
    assert run(main, given) == 2
    said = capsys.readouterr().err
    for part in ("did you mean 'steps'", "--steps = 0", "--trace = ", "--deepspeed_config"):
        assert part in said, said
