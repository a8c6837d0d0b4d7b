"""``dslm check``: what a plan takes and which layouts fit, on machines that are not here."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT

from dslm.commands.check import main
from dslm.commands.cli import run
from dslm.parallel.deepspeed_json import check as ds_check
from dslm.parallel.plan import BATCH, MICRO, make_plan

FILE = str(ROOT / "ds_configs" / "zero1_bf16.json")


@pytest.fixture
def checked(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; returns its exit code and what it printed."""

    def checked(*words: str, file: str = FILE) -> tuple[int, str, str]:
        code = run(main, [*words, "--deepspeed_config", file])
        said = capsys.readouterr()
        return code, said.out, said.err

    return checked


@pytest.fixture
def large(tmp_path: Path) -> str:
    """A batch large enough for many ranks."""
    config = json.loads(Path(FILE).read_text())
    path = tmp_path / "large.json"
    path.write_text(json.dumps({**config, BATCH: 512, MICRO: 8}))
    return str(path)


def test_a_plan_that_fits_is_shown_with_what_it_takes(checked: Any, large: str) -> None:
    code, out, err = checked("gpt2_xl", "--hosts", "2", "--gpus", "8xH100-80G", file=large)
    assert (code, err) == (0, "")
    names = {line.split()[0] for line in out.splitlines() if line}
    assert {"model", "layout", "batch", "memory", "sends", "step", "fits"} <= names
    assert "16 H100 ranks on 2 hosts = 16 replicas · ZeRO-1 · bf16" in out
    assert "vocabulary 50,257" in out
    assert "all-reduce of gradients between hosts" in out
    assert "fits     yes" in out


def test_a_plan_that_does_not_fit_ends_with_1_and_shows_what_does(checked: Any, large: str) -> None:
    code, out, err = checked("gpt2_xl", "--gpus", "8xRTX-3090", file=large)
    assert code == 1
    assert "fits     no" in out
    assert "best     pipeline_stages=1" in out
    assert "more than its share of RTX 3090; the layouts above fit" in err


def test_nothing_fits_a_model_that_is_far_too_large(checked: Any, large: str) -> None:
    words = ["model.layers=200", "model.width=16384", "model.heads=64"]
    code, out, err = checked("gpt2_xl", *words, "--gpus", "1xT4", file=large)
    assert code == 1
    assert "no layout fits" in out
    assert "use more GPUs or larger ones" in err


def test_all_mistakes_are_reported_at_once(checked: Any) -> None:
    words = ["tiny", "model.heads=3", "pipeline_stages=2", "--cpu", "3"]
    code, out, err = checked(*words, file=str(ROOT / "ds_configs" / "zero2_fp16.json"))
    assert (code, out) == (2, "")
    keys = [line.split()[1].rstrip(":") for line in err.splitlines()]
    assert keys == ["zero_optimization.stage", "fp16.enabled", "model.heads"]


def test_the_json_is_changed_by_words_as_for_a_run(checked: Any) -> None:
    words = ["batch=64", "lr=3e-4", "zero_optimization.stage=3", "--gpus", "8xH100-80G"]
    code, out, err = checked("gpt2_small", *words)
    assert (code, err) == (0, "")
    assert "8 replicas · ZeRO-3" in out
    assert "8 replicas × " in out
    assert " = 65,536 tokens a step" in out


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ([], "--gpus"),
        (["--gpus", "8xH100", "--cpu", "2"], "--gpus"),
        (["--gpus", "8xH101"], "--gpus"),
        (["--gpus", "H100", "--hosts", "0"], "--hosts"),
        (["--cpu", "2", "--host-memory", "-1"], "--host-memory"),
        (["--gpus", "8xH100", "--hosts", "2"], "train_batch_size"),
    ],
)
def test_a_machine_must_be_described(checked: Any, words: list[str], key: str) -> None:
    code, _, err = checked("tiny", *words)
    assert code == 2
    assert any(line.startswith(f"error: {key}") for line in err.splitlines())


def test_json_holds_the_same_for_programs(checked: Any, large: str) -> None:
    code, out, _ = checked("gpt2_small", "--gpus", "4xA100-40G", "--json", file=large)
    record = json.loads(out)
    assert code == 0
    assert record["fits"]
    assert record["device"]["memory"] == 40 * 2**30
    memory = record["memory"]
    parts = ("weights", "gradients", "optimizer", "activations", "buffers")
    assert memory["device"] == pytest.approx(sum(memory[part] for part in parts))
    assert record["time"]["step"] > 0
    assert len(record["layouts"]) > 10


def test_every_layout_is_legal_keeps_the_batch_and_comes_in_order(checked: Any, large: str) -> None:
    _, out, _ = checked("gpt2_xl", "--gpus", "8xA100-40G", "--json", file=large)
    layouts = json.loads(out)["layouts"]
    assert {layout["plan"]["zero_stage"] for layout in layouts} == {1, 2, 3}
    assert {layout["plan"]["pipeline_stages"] for layout in layouts} >= {1, 2, 4}
    base = json.loads(Path(large).read_text())
    for layout in layouts:
        stages = layout["plan"]["pipeline_stages"]
        config = {**base, **layout["deepspeed"]}
        assert ds_check.check(config, pipeline_stages=stages, cpu=False) == []
        plan, problems = make_plan(config, 8, stages, 1024)
        assert not problems
        assert plan is not None
        assert plan.batch == 512
        assert layout["memory"]["device"] < 40 * 2**30
    speeds = [layout["tokens_per_second"] for layout in layouts]
    assert all(later <= 1.06 * earlier for earlier, later in pairwise(speeds))


def test_the_best_layout_typed_in_is_the_best_again(
    checked: Any, large: str, tmp_path: Path
) -> None:
    _, out, _ = checked("gpt2_xl", "--gpus", "8xRTX-3090", "--json", file=large)
    best = json.loads(out)["layouts"][0]
    file = tmp_path / "best.json"
    file.write_text(json.dumps({**json.loads(Path(large).read_text()), **best["deepspeed"]}))
    words = ["gpt2_xl", *best["settings"], "--gpus", "8xRTX-3090", "--json"]
    code, out, _ = checked(*words, file=str(file))
    again = json.loads(out)
    assert code == 0
    assert again["memory"] == best["memory"]
    assert again["layouts"][0] == best


def test_cpu_ranks_share_the_memory_of_their_host(checked: Any) -> None:
    file = str(ROOT / "ds_configs" / "zero1_fp32.json")
    words = ["tiny", "--cpu", "2", "--host-memory"]
    assert checked(*words, "8", file=file)[0] == 0
    code, _, err = checked(*words, "0.1", file=file)
    assert code == 1
    assert "main memory" in err


def test_it_needs_no_torch(large: str) -> None:
    argv = ["tiny", "--gpus", "8xH100", "--deepspeed_config", large]
    script = (
        "import sys\nfrom dslm.commands.check import main\n"
        f"main({argv!r})\nassert not {{'torch', 'deepspeed'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True)


@pytest.mark.parametrize(("gpu", "enough"), [("A100", False), ("V100", False), ("H100", True)])
def test_8_bit_floats_need_a_gpu_that_has_them(checked: Any, gpu: str, enough: bool) -> None:
    code, out, err = checked("gpt2_medium", "precision=fp8", "--gpus", f"4x{gpu}")
    if not enough:
        assert code == 2
        assert err.startswith(f"error: precision = 'fp8': {gpu} computes no 8-bit floats")
        assert "use precision=bf16" in err
        return
    assert (code, err) == (0, "")
    assert "float8   tensorwise: 48 of 96 linear maps of the blocks (attention.project, " in out
    assert "in bf16: attention.output, feed_forward.leave (for their size), head" in out
    assert "ZeRO-1 · fp8" in out
    assert "emulated" not in out
    assert "bytes    18 a parameter: weights 2, gradients 4, master 4, moments 8" in out
    record = json.loads(checked("gpt2_medium", "precision=fp8", "--gpus", f"4x{gpu}", "--json")[1])
    assert record["precision"] == "fp8"
    assert record["parameter_bytes"] == {"weights": 2, "gradients": 4, "master": 4, "moments": 8}
