"""The first and the last screen, for a run whose every number is known."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dslm.environment import World
from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.parallel.activations import Forward
from dslm.parallel.memory import estimate
from dslm.run.status import Ending
from dslm.sampling.stream import ordered
from dslm.train.attention_kernel import attention_kernel, chosen_by_torch
from dslm.train.last_screen import command, last_screen
from dslm.train.prepare import Job, prepare
from dslm.train.record import RunRecord
from dslm.train.screen import first_screen, scarce

TWO = World(size=2, local_size=2)
COUNT = 17 * 32 + 64 * 32 + 2 * (12 * 32 * 32 + 13 * 32) + 2 * 32


@pytest.fixture
def make_job(shard_set: Path, deepspeed_settings: dict[str, Any], tmp_path: Path) -> Any:
    """Makes a checked job on two ranks, with more words and keys of DeepSpeed's JSON."""

    def make(*words: str, world: World = TWO, **changes: Any) -> Job:
        file = tmp_path / "deepspeed.json"
        file.write_text(json.dumps({**deepspeed_settings, **changes}))
        shape = ["model.layers=2", "model.heads=2", "model.width=32", "model.sequence=64"]
        if not any(word.startswith("data.train=") for word in words):
            words = (f"data.train={shard_set}", *words)
        keys = [word.partition("=")[0] for word in words]
        shape = [word for word in shape if word.partition("=")[0] not in keys]
        words = ("tiny", *shape, f"run={tmp_path}/a run", *words)
        return prepare(words, None, str(file), world)

    return make


def screen(job: Job, step: int = 0, world: World = TWO) -> dict[str, str]:
    """The first screen, by the words its lines begin with."""
    lines = first_screen(job, world, step)
    return {line[:9].strip(): line[9:] for line in lines}


def test_the_first_screen_is_about_ten_lines_of_one_width(make_job: Any) -> None:
    """With the empty one behind them they are twelve at most."""
    lines = first_screen(make_job(), TWO, 0)
    assert 8 <= len(lines) <= 11
    assert all(line[8] == " " and line[9] != " " for line in lines)


def test_tokens_a_step_are_shown_as_a_product_that_is_right(make_job: Any) -> None:
    assert screen(make_job())["batch"] == (
        "2 replicas × 2 sequences × 4 accumulation steps × 64 tokens = 1,024 tokens a step"
    )


def test_parameters_and_shape_are_shown(make_job: Any) -> None:
    job = make_job()
    assert screen(job)["model"] == (
        f"{COUNT:,} parameters · 2 layers × 32 wide, 2 heads · 64 tokens, vocabulary 17"
    )


def test_a_recurrent_model_is_shown_as_such(make_job: Any) -> None:
    job = make_job("model.block=lstm", "model.heads=null", "model.positions=none")
    count = 17 * 32 + 2 * (8 * 32 * 32 + 10 * 32) + 2 * 32
    assert screen(job)["model"] == (
        f"{count:,} parameters · 2 lstm layers × 32 wide · 64 tokens, vocabulary 17"
    )


def test_what_computes_attention_is_shown_where_it_may_be_another(make_job: Any) -> None:
    gpu, kind = (
        World(size=2, local_size=2, cpu=False),
        "by FlexAttention, compiled in the first step",
    )
    assert attention_kernel(make_job(), TWO) is None
    assert "step by step" in (attention_kernel(make_job("model.dropout=0.1"), TWO) or "")
    assert attention_kernel(make_job("model.dropout=0.1"), gpu) == kind
    narrow = make_job("model.dropout=0.1", "model.heads=4")
    assert "step by step" in (attention_kernel(narrow, gpu) or "")
    lines = first_screen(make_job(), gpu, 0, kernel=kind)
    assert f"attends  {kind}" in lines


@pytest.mark.parametrize("masked", [False, True])
def test_torch_is_asked_for_its_backend(masked: bool) -> None:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    shape = ModelConfig(layers=1, heads=4, key_value_heads=2, width=64, sequence=32)
    asked = partial(chosen_by_torch, shape, torch.float32, "cpu", masked=masked)
    assert asked() == "by FlashAttention"
    with sdpa_kernel(SDPBackend.MATH):
        assert asked() == "by torch's plain products, not fused"


def test_tokens_and_epochs_are_shown(make_job: Any, shard_set: Path) -> None:
    job = make_job("steps=50")
    epochs = 50 * 16 / job.stream.samples_per_epoch
    assert epochs == pytest.approx(50 * 1024 / job.sources.tokens, rel=0.01)
    assert screen(job)["steps"] == "50 · 51.2k tokens"
    assert screen(job)["data"].endswith(f"read {epochs:.2f} times (epochs)")
    assert screen(job)["data"].startswith(str(shard_set))


def test_shares_of_several_sources_are_shown_with_their_epochs(
    make_job: Any, shard_set: Path
) -> None:
    weights = f'data.train={{"{shard_set}": 3, "{shard_set}/": 1}}'
    job = make_job("steps=50", weights)
    epochs = 50 * 16 * 0.75 / len(job.stream.sources[0])
    line = screen(job)["data"]
    assert line.startswith(f"{shard_set} 75.0 %, {shard_set} 25.0 % · ")
    assert line.endswith(f"read {epochs:.2f}, {epochs / 3:.2f} times (epochs)")


def test_changes_to_rows_are_shown_if_there_are_any(make_job: Any) -> None:
    assert "rows" not in screen(make_job())
    job = make_job("data.augmentation.drop=0.1", "data.augmentation.lower_case=0.5")
    assert screen(job)["rows"] == "changed at random: drop 0.1, lower_case 0.5"


def test_the_fill_of_packed_rows_is_shown(make_job: Any, pieces: Path) -> None:
    job = make_job(f"data.train={pieces}", "data.packing=best_fit")
    (source,) = job.stream.sources
    fill = 100 * ordered(source, 0, len(source)).text.mean()
    assert screen(job)["rows"] == f"{len(source):,} of whole documents, packing {fill:.2f} % full"


def test_the_layout_is_shown(make_job: Any) -> None:
    assert screen(make_job())["layout"] == "2 CPU ranks = 2 replicas · ZeRO-1 · fp32"
    piped = make_job("pipeline_stages=2", bf16={"enabled": True})
    assert screen(piped)["layout"] == (
        "2 CPU ranks = 1 replica × 2 pipeline stages · ZeRO-1 · bf16"
    )


def test_the_learning_rate_is_shown_with_its_schedule(make_job: Any) -> None:
    assert screen(make_job("steps=50"))["lr"] == (
        "peak 0.001, cosine after 5 warm-up steps · AdamW · gradient clipped at 1.0"
    )


def test_what_the_command_line_changes_in_the_json_is_shown_and_recorded(make_job: Any) -> None:
    words = ["lr=3e-4", "batch=64", "ds.zero_optimization.stage=2", "gradient_clipping=0.5"]
    job = make_job(*words)
    shown = screen(job)
    assert shown["lr"].startswith("peak 0.0003, ")
    assert shown["lr"].endswith("gradient clipped at 0.5")
    assert shown["batch"].startswith("2 replicas × 2 sequences × 16 accumulation steps × ")
    assert " · ZeRO-2 · " in shown["layout"]
    recorded = RunRecord(job, TWO, ["tiny", *words]).content()
    assert recorded["deepspeed"]["optimizer"]["params"]["lr"] == 3e-4
    assert recorded["deepspeed"]["train_batch_size"] == 64
    assert recorded["command"][-4:] == words
    resume = last_screen(job, TWO, ["tiny", *words], Ending("done", "all made"))[-1]
    assert all(word in resume for word in words)


def test_the_memory_of_a_rank_is_shown(make_job: Any) -> None:
    assert screen(make_job())["memory"].startswith("about 0.0")
    offloaded = {"stage": 3, "offload_optimizer": {"device": "cpu"}}
    assert "GiB offloaded" in screen(make_job(zero_optimization=offloaded))["memory"]


def test_checkpoints_are_shown_with_their_size(make_job: Any) -> None:
    job = make_job("steps=50")
    assert job.checkpoint_bytes == 3 * 4 * COUNT
    assert screen(job)["saves"] == "every 50 steps, 337kB each, the newest 3 kept"


@pytest.mark.parametrize(
    ("step", "line"), [(-1, "from scratch"), (0, "from scratch"), (1200, "from step 1,200")]
)
def test_where_the_run_begins_is_shown(make_job: Any, step: int, line: str) -> None:
    assert screen(make_job(), step)["start"] == line


def test_ids_that_never_occur_are_a_note(make_job: Any) -> None:
    assert "note" not in screen(make_job())
    assert screen(make_job("model.vocabulary=20"))["note"] == (
        "the vocabulary has 3 ids that are never used; model.vocabulary=17 saves their weights"
    )
    assert "note" not in screen(make_job("objective.causal.fill_in_middle=0.5"))


def test_the_last_screen_has_commands_to_copy(make_job: Any) -> None:
    job = make_job("steps=50")
    words = ["tiny", f"run={job.config.run}", "steps=50", "fresh=true"]
    screen = last_screen(job, TWO, words, Ending("done", "all 50 made"))
    lines = {line[:9].strip(): line[9:] for line in screen}
    assert lines["ended"] == "all 50 made"
    assert shlex.split(lines["evaluate"])[:3] == ["python", "launch/evaluate.py", job.config.run]
    assert shlex.split(lines["generate"])[2] == job.config.run
    assert shlex.split(lines["resume"]) == [
        *["deepspeed", "--num_gpus", "2", "launch/pretrain.py"],
        *["tiny", f"run={job.config.run}", "steps=100", "schedule.steps=50"],
    ]


def test_a_run_that_was_stopped_goes_on_with_the_same_command(make_job: Any) -> None:
    job = make_job("steps=50")
    ending = Ending("preempted", "stopped by SIGUSR1 after step 7 of 50")
    lines = last_screen(job, TWO, ["tiny", "run=a", "steps=50", "fresh=true"], ending)
    assert f"{'ended':<9}{ending.how}" in lines
    assert lines[-1].endswith("launch/pretrain.py tiny run=a steps=50")


@pytest.mark.parametrize(
    ("schedule", "typed"),
    [
        (["schedule.kind=constant"], ["steps=100"]),
        (["schedule.kind=linear", "schedule.minimum=0.0"], ["steps=100"]),
        (["schedule.steps=80"], ["schedule.steps=80", "steps=80"]),
        (["schedule.steps=30"], ["schedule.steps=30", "steps=100"]),
    ],
)
def test_the_command_to_resume_goes_on_with_the_schedule(
    make_job: Any, schedule: list[str], typed: list[str]
) -> None:
    job = make_job("steps=50", *schedule)
    lines = last_screen(job, TWO, ["tiny", "steps=50", *schedule], Ending("done", "all 50 made"))
    (resume,) = (shlex.split(line) for line in lines if line.startswith("resume"))
    assert [word for word in resume if "steps=" in word] == typed


@pytest.mark.parametrize(
    ("world", "start"),
    [
        (World(), "python launch/pretrain.py"),
        (TWO, "deepspeed --num_gpus 2 launch/pretrain.py"),
        (World(size=4, local_size=2), "deepspeed --hostfile HOSTS launch/pretrain.py"),
        (World(size=2, local_size=2, launcher="srun"), "srun -n 2 python launch/pretrain.py"),
        (World(size=4, local_size=2, launcher="srun"), "srun -N 2 -n 4 python launch/pretrain.py"),
    ],
)
def test_the_command_is_that_of_the_launcher(world: World, start: str) -> None:
    assert command(world) == start


def test_too_little_memory_is_a_warning_before_the_start(make_job: Any) -> None:
    job = make_job()
    assert scarce(job, TWO, 1e12) == scarce(job, TWO, None) == []
    (line,) = scarce(job, TWO, 1e6)
    assert line.startswith("warning  a rank needs about ")
    assert line.endswith("0.00 GiB are free for it; dslm check shows what fits")


def test_memory_for_checkpoints_is_shown_and_counted(make_job: Any) -> None:
    job = make_job("model.width=512", "model.layers=6")
    part = 12 * parameter_count(job.config.model) / 2
    shown = f"+ {part / 2**30:.2f} GiB of main memory for checkpoints"
    assert shown in screen(job)["memory"]
    (line,) = scarce(job, TWO, 1e6)
    alone = estimate(job.config.model, job.plan, job.deepspeed, forward=Forward(1.0))
    assert f"about {(alone.device + part) / 2**30:.2f} GiB" in line


def test_which_checkpoints_are_kept_is_shown(make_job: Any, shard_set: Path) -> None:
    assert screen(make_job())["saves"].endswith("B each, the newest 3 kept")
    assert screen(make_job("checkpoint_interval=1"))["saves"].startswith("every step, ")
    held_out = f"data.validation={shard_set}"
    assert screen(make_job(held_out, "keep=2", "keep_every=9"))["saves"].endswith(
        "B each, the newest 2, every multiple of 9 and the best kept"
    )
    without = screen(make_job(held_out, "keep_best=false"))["saves"]
    assert without.endswith("B each, the newest 3 kept")


@pytest.mark.parametrize(
    ("saved", "measured", "steps", "said"),
    [
        (500, 250, 5000, None),
        (500, 300, 5000, "chosen from those of every 1,500 steps and the last step"),
        (200, 500, 5000, "chosen from those of every 1,000 steps and the last step"),
        (500, 300, 1400, "chosen from that of the last step"),
        (500, 300, 400, None),
    ],
)
def test_a_best_that_is_chosen_from_few_is_noted(
    saved: int, measured: int, steps: int, said: str | None, make_job: Any, shard_set: Path
) -> None:
    words = [f"checkpoint_interval={saved}", f"evaluation_interval={measured}", f"steps={steps}"]
    notes = first_screen(make_job(f"data.validation={shard_set}", *words), TWO, 0)
    found = [line for line in notes if "the best checkpoint is chosen" in line]
    assert [said in line for line in found if said] == [True] * (said is not None)
    assert bool(found) == (said is not None)


def test_a_validation_set_that_is_trained_on_is_noted_however_it_is_named(
    make_job: Any, make_shards: Any, shard_set: Path, tmp_path: Path
) -> None:
    other = make_shards(" ".join(f"{n} plus {n} is {2 * n}." for n in range(300)))
    link = tmp_path / "link"
    link.symlink_to(shard_set)
    both = f'data.train={{"{shard_set}": 1, "{other}": 1}}'
    noted = [
        (f"data.train={shard_set}", shard_set, True),
        (f"data.train={shard_set}", f"{shard_set}/", True),
        (f"data.train={shard_set}", link, True),
        (f"data.train={shard_set},{other}", f"{other}/", True),
        (both, shard_set, True),
        (f"data.train={shard_set}", other, False),
    ]
    for train, validation, said in noted:
        lines = first_screen(make_job(train, f"data.validation={validation}"), TWO, 0)
        assert any("is trained on too" in line for line in lines) is said, (train, validation)


def test_the_disk_must_hold_the_best_too(
    make_job: Any, shard_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        "dslm.train.prepare.check_disk", lambda *given: asked.append(given[2]) or []
    )
    make_job()
    make_job(f"data.validation={shard_set}", "keep=2")
    make_job(f"data.validation={shard_set}", "keep_best=false")
    assert asked == [3, 3, 3]


def test_bytes_a_parameter_are_shown_and_what_divides_them(make_job: Any) -> None:
    assert screen(make_job())["bytes"] == (
        "20 a parameter: weights 4, gradients 4, master 4, moments 8 · "
        "master and moments divided by 2 ranks"
    )
    assert screen(make_job("precision=bf16", zero_optimization={"stage": 3}))["bytes"] == (
        "18 a parameter: weights 2, gradients 4, master 4, moments 8 · all divided by 2 ranks"
    )
    sgd = {"type": "SGD", "params": {"lr": 0.1}}
    job = make_job(optimizer=sgd, zero_optimization={"stage": 0})
    assert screen(job)["bytes"] == ("8 a parameter: weights 4, gradients 4, master 0, moments 0")


def test_what_is_compiled_is_said(make_job: Any) -> None:
    def lines(*words: str) -> list[str]:
        return [
            line[9:]
            for line in first_screen(make_job(*words), TWO, 0)
            if line.startswith("compile")
        ]

    assert lines() == []
    assert lines("compile=true") == [
        "each block by itself, in the first step and at the first measurement or checkpoint; "
        "torch keeps it for the next run"
    ]


def test_what_is_computed_in_float8_and_what_falls_back_is_shown(make_job: Any) -> None:
    job = make_job("precision=fp8", "float8.narrowest=32", "model.key_value_heads=1")
    lines = [line[9:] for line in first_screen(job, TWO, 0) if line.startswith("float8")]
    assert screen(job)["layout"].endswith("ZeRO-1 · fp8")
    assert lines == [
        "tensorwise: 8 of 8 linear maps of the blocks (attention.project, attention.output, "
        "feed_forward.enter, feed_forward.leave)",
        "in bf16: head and embeddings",
        "emulated on a CPU: rounded alike, and slower than bf16",
    ]
    wider = make_job("precision=fp8", "float8.narrowest=33", "model.width=64", "model.heads=4")
    assert wider.deepspeed["bf16"] == {"enabled": True}
    mixed = make_job("precision=fp8", "float8.narrowest=32", "model.feed_forward=40")
    assert (
        "in bf16: feed_forward.enter, feed_forward.leave (for their size), head and embeddings"
        in "\n".join(first_screen(mixed, TWO, 0))
    )


def test_sums_in_bf16_are_pointed_out(make_job: Any) -> None:
    bf16 = {"enabled": True}
    assert "summed in bf16" in screen(make_job(bf16=bf16))["note"]
    assert "note" not in screen(make_job("precision=bf16", bf16=bf16))
    alone = make_job(bf16=bf16, train_micro_batch_size_per_gpu=8)
    assert "note" not in screen(alone), "there is one micro-batch"
    lean = {**bf16, "bf16_master_weights_and_grads": True, "bf16_optimizer_states": True}
    assert "note" not in screen(make_job(bf16=lean)), "the masters are no better"


@pytest.mark.parametrize(
    ("ranks", "cpu", "warned"), [(4, True, True), (2, True, False), (4, False, False)]
)
def test_more_cpu_ranks_than_cores_are_noted(
    make_job: Any, ranks: int, cpu: bool, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslm.train.screen.cores", lambda: 2)
    world = World(size=ranks, local_size=ranks, cpu=cpu)
    lines = first_screen(make_job(world=world), world, 0)
    noted = "note     4 CPU ranks share 2 cores and slow each other: use --num_gpus 2"
    assert any(line.startswith(noted) for line in lines) is warned
