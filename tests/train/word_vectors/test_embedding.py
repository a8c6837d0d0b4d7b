"""Word vectors as the first token embedding: checked, measured, scaled, put in their rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.models import build, small

from dslm.environment import World
from dslm.errors import DataError, UserError
from dslm.model.embedding import embedding_deviation
from dslm.model.stages import stages
from dslm.run.check import check_run
from dslm.sampling.packed import PackedRows
from dslm.sampling.stream import Stream, WindowSpec
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.vocabulary import piece_texts
from dslm.train.prepare import Job, prepare
from dslm.train.screen import first_screen
from dslm.train.word_vectors.embedding import (
    begin_with,
    check_word_vectors,
    count_tokens,
    read_word_vectors,
    standardized,
)

WIDTH = 32


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Vectors of words of the text of `pieces`, and of some others, far from the mean of 0."""
    words = ["the", "of", "and", "more", "1", "2", "3", "nirgends", "niemals", "the"]
    rows = np.random.default_rng(0).normal(3, 5, (len(words), WIDTH))
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, rows, strict=True)]
    (tmp_path / "v.txt").write_text("\n".join(lines))
    return tmp_path / "v.txt"


@pytest.fixture
def made(pieces: Path, deepspeed_file: Path, tmp_path: Path) -> Callable[..., Job]:
    """Prepares a run on `pieces`: ``made(*words)``."""

    def make(*words: str, world: World | None = None) -> Job:
        shape = [f"model.width={WIDTH}", "model.heads=2", "model.sequence=16"]
        arguments = ["tiny", *shape, f"data.train={pieces}", f"run={tmp_path / 'run'}", *words]
        return prepare(arguments, None, str(deepspeed_file), world or World())

    return make


def wrong(made: Callable[..., Job], *words: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        made(*words)
    return [str(problem) for problem in caught.value.problems]


def test_vectors_of_another_width_are_refused_with_what_to_do(made: Any, tmp_path: Path) -> None:
    file = tmp_path / "v.txt"
    file.write_text("1 48\nthe" + " 1" * 48)
    assert wrong(made, f"word_vectors={file}", "patience=2") == [
        "patience = 2: needs a validation set; set data.validation=FOLDER",
        f"word_vectors = '{file}': its vectors are 48 wide, and model.width = 32; "
        "use model.width=48, or vectors 32 wide",
    ]


def test_a_file_that_does_not_begin_like_vectors_is_reported_with_the_other_mistakes(
    made: Any, tmp_path: Path
) -> None:
    (tmp_path / "v.txt").write_text("the 1 x\n")
    reported = wrong(made, f"word_vectors={tmp_path}/v.txt", "pipeline_stages=9")
    assert f"{tmp_path}/v.txt, line 1 = 'x': is not a number" in reported
    assert len(reported) > 1


def test_vectors_and_the_weights_of_another_run_are_not_both_had(made: Any) -> None:
    config = replace(made().config, word_vectors="v.txt", init_from="runs/a")
    (problem,) = check_run(config)
    rule = "init_from = 'runs/a' gives the embedding already"
    assert str(problem) == f"word_vectors = 'v.txt': {rule}; use one of the two"


def test_a_run_that_goes_on_does_not_look_for_the_file_but_for_the_same_name(
    made: Any, vectors: Path
) -> None:
    first = made(f"word_vectors={vectors}")
    first.folder.checkpoint(3).mkdir(parents=True)
    record = {"format": 1, "config": first.settings, "data": first.sources.record()}
    first.folder.write_record(record)
    vectors.unlink()
    assert made(f"word_vectors={vectors}").config.word_vectors == str(vectors)
    (reported,) = wrong(made, "word_vectors=other.txt")
    assert reported.startswith(
        f"word_vectors = 'other.txt': the run in this folder has '{vectors}'"
    )


def test_only_the_first_rank_looks_at_the_file(made: Any) -> None:
    assert made("word_vectors=none.txt", world=World(rank=1, size=2, local_size=2))


def read(job: Job, vectors: Path) -> Any:
    return read_word_vectors(str(vectors), job.sources.train[0].tokenizer, job.stream)


def test_coverage_counts_ids_and_the_tokens_they_make_up(made: Any, vectors: Path) -> None:
    job = made(f"word_vectors={vectors}")
    found = read(job, vectors)
    texts = piece_texts(load_tokenizer(job.sources.train[0].tokenizer))
    known = {line.split()[0] for line in vectors.read_text().splitlines()}
    bare = [text.strip() for text in texts]
    expected = [n for n, text in enumerate(bare) if text in known or text.lower() in known]
    assert found.matched.ids.tolist() == expected
    tokens = job.stream.rows(0, job.stream.samples_per_epoch)
    assert found.tokens == pytest.approx(np.isin(tokens, expected).mean())
    assert found.record() == {
        "file": str(vectors),
        "sha256": hashlib.sha256(vectors.read_bytes()).hexdigest(),
        "words": 10,
        "repeated": 1,
        "ids": len(expected),
        "share_of_ids": len(expected) / 300,
        "share_of_tokens": found.tokens,
    }


def test_coverage_is_reported_on_the_first_screen(made: Any, vectors: Path) -> None:
    job = made(f"word_vectors={vectors}")
    found = read(job, vectors)
    (line,) = (line for line in first_screen(job, World(), -1, found) if "vectors" in line[:9])
    assert line == (
        f"vectors  {vectors} · {found.matched.ids.size} of 300 ids "
        f"({100 * found.share:.1f} %), {100 * found.tokens:.1f} % of tokens, 1 repeated word"
    )
    assert not any(line.startswith("vectors") for line in first_screen(job, World(), -1))


def test_padding_is_no_token_of_the_text(pieces: Path) -> None:
    shards = ShardSet.open(pieces)
    special = load_tokenizer(shards.tokenizer).special
    by_pad, by_end = (
        count_tokens(Stream([PackedRows(shards, 65, special[name])], None, 0), 300)
        for name in ("pad", "eos")
    )
    assert by_pad[special["pad"]] == 0
    assert by_pad.sum() == shards.tokens
    assert by_end.tolist() == by_pad.tolist()
    windows = count_tokens(Stream([Windows(shards, WindowSpec(64, 1))], None, 0), 300)
    assert windows.sum() == (shards.tokens - 1) // 64 * 65


def test_vectors_that_are_all_the_same_cannot_be_scaled(made: Any, tmp_path: Path) -> None:
    (tmp_path / "same.txt").write_text("".join(f"{w} {'0.1 ' * WIDTH}\n" for w in ("the", "of")))
    with pytest.raises(DataError, match="ids that match are all the same"):
        read(made(), tmp_path / "same.txt")


def test_scaled_vectors_have_mean_0_and_deviation_1_and_keep_their_directions() -> None:
    rows = np.random.default_rng(0).normal(7, 3, (500, 20)).astype(np.float32)
    scaled = standardized(rows)
    assert scaled is not None
    assert scaled.dtype == np.float32
    assert np.abs(scaled.mean(axis=0)).max() < 1e-6
    assert scaled.std() == pytest.approx(1, abs=1e-6)
    apart, before = scaled[1:] - scaled[0], rows[1:] - rows[0]
    assert apart == pytest.approx(before * (apart[0, 0] / before[0, 0]), rel=1e-3, abs=1e-5)
    assert rows.mean() == pytest.approx(7, abs=0.1)  # the ones given are left alone


@pytest.mark.parametrize("tied", [True, False])
def test_rows_with_vectors_are_replaced_and_all_other_weights_are_the_drawn_ones(
    tied: bool,
) -> None:
    config = small(tied=tied)
    ids = torch.tensor([3, 7, 49])
    rows = torch.randn(3, config.width)
    layers = stages(config, 5)
    weights = begin_with(layers, ids, rows)
    drawn = build(config, 5).state_dict()
    embedding = drawn["layers.0.embedding.weight"].clone()
    for name, weight in drawn.items():
        own = name.removeprefix("layers.")
        if own != "0.embedding.weight" and not (tied and own.endswith(".embedding.weight")):
            assert torch.equal(weights(own, 0, weight.numel()), weight.flatten()), name
    cuts = [0, 5, 230, 231, embedding.numel()]
    parts = [weights("0.embedding.weight", *cut) for cut in pairwise(cuts)]
    begun = torch.cat(parts).view(embedding.shape)
    assert torch.equal(begun[ids], rows * embedding_deviation(config))
    others = [number for number in range(50) if number not in ids]
    assert torch.equal(begun[others], embedding[others])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary"])
def test_the_first_loss_is_near_that_of_a_drawn_model(tied: bool, positions: str) -> None:
    config = small(tied=tied, positions=positions, vocabulary=500)
    model = build(config)
    raw = np.random.default_rng(0).normal(0.5, 4, (400, config.width)).astype(np.float32)
    rows = standardized(raw)
    assert rows is not None
    ids = torch.arange(400)
    begun = begin_with(stages(config, 0), ids, torch.from_numpy(rows))
    embedding = begun("0.embedding.weight", 0, 500 * config.width).view(500, config.width)
    model.load_state_dict({"layers.0.embedding.weight": embedding}, False)
    tokens = torch.randint(500, (16, config.sequence + 1), generator=torch.manual_seed(0))
    with torch.no_grad():
        scores = model(tokens[:, :-1])
    loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(500), rel=0.02)


def test_a_check_alone_reads_no_more_than_the_beginning(tmp_path: Path) -> None:
    lines = ["the 1 2 3"] * 100_000 + ["of x"]
    (tmp_path / "v.txt").write_text("\n".join(lines))
    assert check_word_vectors(f"{tmp_path}/v.txt", small(width=3, heads=1)) == []
