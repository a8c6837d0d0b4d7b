"""What a run must share with the one whose weights it begins with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.hub import write_checkpoint
from helpers.models import build

from dslm.environment import World
from dslm.errors import CheckpointError, UserError
from dslm.model.counts import parameter_count
from dslm.train.prepare import Job, prepare
from dslm.train.screen import first_screen
from dslm.train.verification import take_folder

ROTARY = ["tiny", "model.positions=rotary", "model.width=16", "model.heads=2"]


@pytest.fixture
def made(shard_set: Path, deepspeed_file: Path, tmp_path: Path) -> Callable[..., Job]:
    """Prepares a run: ``made(name, *words)``."""

    def make(name: str, *words: str) -> Job:
        given = [*words, f"data.train={shard_set}", f"run={tmp_path / name}"]
        return prepare(given, None, str(deepspeed_file), World())

    return make


@pytest.fixture
def source(made: Callable[..., Job]) -> Path:
    """An earlier run with one checkpoint."""
    return finished(made("earlier", *ROTARY))


def finished(job: Job) -> Path:
    """The folder of a run with one checkpoint."""
    job.folder.path.mkdir()
    job.folder.write_record({"format": 1, "config": job.settings, "data": {"train": []}})
    shutil.copytree(job.sources.train[0].tokenizer, job.folder.tokenizer)
    write_checkpoint(job.folder, build(job.config.model))
    return job.folder.path


def wrong(made: Callable[..., Job], *words: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        made("later", *words)
    return [str(problem) for problem in caught.value.problems]


def test_the_shape_is_that_of_the_run_it_begins_with(made: Any, source: Path) -> None:
    job = made("later", "fine_tune", f"init_from={source}")
    assert job.config.model == made("again", *ROTARY).config.model
    assert job.init_from is not None
    assert job.init_from.checkpoint == source / "checkpoints" / "step-00000007"


def test_what_says_nothing_about_weights_may_change(made: Any, source: Path) -> None:
    changes = ["model.dropout=0.1", "model.recompute=true", "model.sequence=64"]
    model = made("later", "fine_tune", f"init_from={source}", *changes).config.model
    assert (model.dropout, model.recompute, model.sequence) == (0.1, True, 64)


def test_another_shape_is_refused_key_by_key(made: Any, source: Path) -> None:
    problems = wrong(made, "fine_tune", f"init_from={source}", "model.heads=4", "model.norm=rms")
    assert problems == [
        f"model.heads = 4: {source} has 2; leave it out",
        f"model.norm = 'rms': {source} has 'layer'; leave it out",
    ]


def test_what_is_left_out_is_the_same_as_what_it_comes_to(made: Any, source: Path) -> None:
    words = ["fine_tune", f"init_from={source}", "model.key_value_heads=2"]
    job = made("later", *words, "model.head_width=8", "model.feed_forward=64")
    assert job.init_from is not None
    other = ["model.key_value_heads=1", "model.head_width=4", "model.feed_forward=60"]
    assert [line.split(":")[0] for line in wrong(made, *words[:2], *other)] == [
        "model.head_width = 4",
        "model.key_value_heads = 1",
        "model.feed_forward = 60",
    ]


def test_a_causal_run_begins_with_the_layers_of_one_of_masks(made: Any, source: Path) -> None:
    causal = ["objective.kind=causal", "model.layers=1"]
    masked = made("masked", "fine_tune", f"init_from={source}", "objective.kind=masked")
    assert masked.config.model.attention == "full"
    assert masked.config.model.vocabulary == masked.sources.train[0].vocabulary + 1
    begun = finished(masked)
    job = made("later", "fine_tune", f"init_from={begun}", *causal)
    assert (job.config.model.attention, job.config.model.layers) == ("causal", 1)
    screen = {line[:9].strip(): line[9:] for line in first_screen(job, World(), -1)}
    taken = parameter_count(job.config.model) - 2 * 16
    assert screen["start"] == (
        f"with the weights of {begun}/checkpoints/step-00000007: "
        f"{taken:,} of {taken + 32:,}; newly initialized: FinalNorm"
    )


def test_an_encoder_begins_with_a_causal_run_and_gives_its_weights_to_one(
    made: Any, source: Path
) -> None:
    code = ["objective.kind=autoencoder", "model.bottleneck_length=8", "model.bottleneck_width=4"]
    coded = made("coded", "fine_tune", f"init_from={source}", *code)
    assert (coded.config.model.bottleneck_length, coded.config.model.attention) == (8, "full")
    causal = ["fine_tune", f"init_from={finished(coded)}", "objective.kind=causal"]
    assert made("back", *causal).config.model == made("plain", *ROTARY).config.model


def test_a_source_run_gives_its_objective_unless_another_is_named(made: Any, source: Path) -> None:
    share = ["objective.kind=masked", "objective.masked.share=0.3"]
    begun = finished(made("masked", "fine_tune", f"init_from={source}", *share))
    again = made("again", "fine_tune", f"init_from={begun}").config.objective
    assert (again.kind, again.masked.share) == ("masked", 0.3)
    other = made("other", "fine_tune", f"init_from={begun}", "objective.masked.share=0.2")
    assert (other.config.objective.kind, other.config.objective.masked.share) == ("masked", 0.2)
    causal = made("causal", "fine_tune", f"init_from={begun}", "objective.kind=causal")
    assert causal.config.objective == made("tiny", *ROTARY).config.objective


def test_segments_may_be_added_but_not_taken_away(made: Any, source: Path) -> None:
    begun = finished(made("first", "fine_tune", f"init_from={source}", "model.segments=2"))
    (problem,) = wrong(made, "fine_tune", f"init_from={begun}", "model.segments=0")
    assert problem == f"model.segments = 0: {begun} has 2; leave it out"


def test_shards_of_another_tokenizer_are_refused(
    source: Path, make_shards: Any, deepspeed_file: Path, tmp_path: Path
) -> None:
    other = make_shards("quite another text, with other letters" * 40)
    words = ["fine_tune", f"init_from={source}", "model.vocabulary=null", f"data.train={other}"]
    with pytest.raises(UserError) as caught:
        prepare([*words, f"run={tmp_path / 'b'}"], None, str(deepspeed_file), World())
    problem = str(caught.value.problems[-1])
    assert f"was made with another tokenizer than {source}" in problem
    assert problem.endswith(f"shard the text with --tokenizer {source}/tokenizer")


def test_weights_that_are_damaged_are_told_with_what_to_remove(made: Any, source: Path) -> None:
    newest = source / "checkpoints" / "step-00000007"
    older = newest.with_name("step-00000003")
    shutil.copytree(newest, older)
    (newest / "layer-0000.safetensors").write_bytes(b"cut")
    job = made("later", "fine_tune", f"init_from={source}")
    said = f"init_from = '{source}': its newest checkpoint, of step 7, is damaged; "
    for fix in (f"remove {newest} to begin with that of step 3", "choose another run"):
        with pytest.raises(CheckpointError, match="has 3 bytes instead of") as caught:
            take_folder(job)
        job.folder.lock.release()
        assert str(caught.value.problems[-1]) == said + fix
        (older / "state.json").unlink(missing_ok=True)


def test_fine_tuning_needs_a_run_to_begin_with(made: Any) -> None:
    (problem,) = wrong(made, "fine_tune")
    assert problem.startswith("init_from: is required by this preset; add init_from=RUN")


def test_a_source_that_is_no_run_does_not_hide_other_mistakes(made: Any, tmp_path: Path) -> None:
    problems = wrong(made, "fine_tune", f"init_from={tmp_path / 'none'}", "stepz=3")
    assert len(problems) == 2
    assert "is not the folder of a run" in problems[0]
    assert "stepz" in problems[1]


def test_a_run_without_a_checkpoint_cannot_be_the_source(made: Any, source: Path) -> None:
    shutil.rmtree(source / "checkpoints")
    (problem,) = wrong(made, "fine_tune", f"init_from={source}")
    assert "this run has no checkpoint yet" in problem


def test_a_run_cannot_be_resumed_with_another_source(made: Any, source: Path) -> None:
    first = made("later", "fine_tune", f"init_from={source}")
    first.folder.path.mkdir()
    first.folder.write_record(
        {"format": 1, "config": first.settings, "data": first.sources.record()}
    )
    (problem,) = wrong(made, *ROTARY)
    assert problem.startswith("init_from: the run in this folder has")


def test_adapters_come_to_weights_that_have_learned_something(made: Any, source: Path) -> None:
    (problem,) = wrong(made, *ROTARY, "lora.rank=2")
    assert problem.startswith("lora.rank = 2: changes weights that have learned something")
    assert problem.endswith("add init_from=RUN, an imported or earlier run")
    adapted = ["fine_tune", f"init_from={source}", "lora.rank=2"]
    (problem,) = wrong(made, *adapted, "objective.kind=masked")
    assert problem == (
        "lora.rank = 2: would leave as they are drawn: 1 row of TokenEmbedding.embedding, "
        f"which {source} lacks; keep the objective and the shape of {source}, "
        "or leave out lora.rank"
    )
    (problem,) = wrong(made, *adapted, "model.layers=3")
    assert "drawn: Block, FinalNorm, which" in problem


def test_adapters_need_no_source_where_a_run_goes_on(made: Any, source: Path) -> None:
    finished(made("later", "fine_tune", f"init_from={source}", "lora.rank=2"))
    said = wrong(made, *ROTARY, "lora.rank=2")
    assert said[0].startswith("init_from: the run in this folder has")
    assert not any("lora.rank" in line for line in said)
