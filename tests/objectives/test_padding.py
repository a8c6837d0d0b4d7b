"""Padding is known by its place: whatever its id, nothing sees it and nothing else changes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.objective_kinds import SPECIAL, made, mean_loss
from hypothesis import given, settings
from hypothesis import strategies as st

from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.batch import IGNORE
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.sampling.packed import PackedRows
from dslm.sampling.pairs import PairRows
from dslm.sampling.stream import Samples, Stream, ordered
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer

SEQUENCE, EOS = 24, SPECIAL["eos"]
VECTORS = {"loss": "squared_error", "noise": 0.2}
OBJECTIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "causal": ("causal", {}),
    "causal, apart": ("causal", {"borders": True}),
    "middle": ("causal", {"fill_in_middle": 0.8}),
    "middle, apart": ("causal", {"fill_in_middle": 0.8, "borders": True}),
    "masked": ("masked", {"share": 0.3}),
    "masked, apart": ("masked", {"share": 0.3, "borders": True}),
    "masked, no [CLS]": ("masked", {"share": 0.3, "without": ("cls",)}),
    **{style: ("denoising", {"style": style}) for style in ("spans", "infilling", "deletion")},
    "autoencoder": ("autoencoder", {"noise": 0.2}),
    "vectors": ("autoencoder", VECTORS),
}
PADS = {"its own": SPECIAL["pad"], "the end": EOS, "none": None}
"""What the tokenizer says of padding."""


@lru_cache
def objective_and_model(name: str, pad: int | None) -> tuple[Any, Transformer]:
    """Its special ids are the same ones, but for how padding is called."""
    kind, words = OBJECTIVES[name]
    others = {key: value for key, value in words.items() if key != "without"}
    kept = {key: id for key, id in SPECIAL.items() if key not in ("pad", *words.get("without", ()))}
    special = {**kept, "reserved": SPECIAL["pad"], **({} if pad is None else {"pad": pad})}
    objective = made(kind, SEQUENCE, special=special, padded=True, **others)
    shape = {"layers": 2, "heads": 2, "width": 16, "sequence": SEQUENCE, "initialization": 0.3}
    size = 100 + objective.extra_ids
    shape |= {"bottleneck_length": 6} if kind == "autoencoder" else {}
    config = ModelConfig(**{**shape, "vocabulary": size, **objective.model(objective.settings)})
    return objective, Transformer(stages(config, 0, objective.extras)).eval()


def as_tuple(value: Any) -> tuple[torch.Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("name", OBJECTIVES)
@given(
    rows=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=4),
    number=st.integers(0, 10_000),
)
@settings(max_examples=15, deadline=None)
def test_the_id_of_padding_changes_nothing(name: str, rows: list[list[int]], number: int) -> None:
    width = objective_and_model(name, EOS)[0].window.width
    draw, numbers = np.random.default_rng(number), number + np.arange(len(rows))
    texts = [
        np.concatenate([np.append(draw.integers(6, 100, size), EOS) for size in row])[:width]
        for row in rows
    ]
    lengths = np.array([text.size for text in texts])
    results = {}
    for pad_name, pad in PADS.items():
        filled = EOS if pad is None else pad
        tokens = np.stack([np.pad(t, (0, width - t.size), constant_values=filled) for t in texts])
        objective, model = objective_and_model(name, pad)
        batch = objective.batch(Samples(tokens, numbers, numbers, lengths))
        with torch.no_grad():
            loss = mean_loss(objective, model(batch[0]), batch[1])
        results[pad_name] = (*batch, float(loss))
    inputs, labels, loss = results["its own"]
    for others, other_labels, other_loss in (results["the end"], results["none"]):
        assert other_loss == pytest.approx(loss, rel=1e-6, abs=1e-7)
        assert torch.equal(other_labels, labels)
        (ids, *extras), (other_ids, *other_extras) = as_tuple(inputs), as_tuple(others)
        for key, one, other in zip(objective.extras, extras, other_extras, strict=True):
            assert key == "originals" or torch.equal(one, other)
        assert (ids[ids != other_ids] == SPECIAL["pad"]).all()


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "masked, no [CLS]"])
def test_every_token_of_a_text_takes_part(name: str) -> None:
    """Ends, whose id is that of padding, are seen and asked for like other tokens."""
    objective, _ = objective_and_model(name, EOS)
    row = np.arange(6, 6 + objective.window.width)
    row[[4, 9, 12]], row[13:], numbers = EOS, EOS, np.arange(1)
    samples = Samples(row[None], numbers, numbers, np.array([13]))
    inputs, labels = objective.batch(samples)
    kind, counted = OBJECTIVES[name][0], labels[labels != IGNORE].tolist()
    if kind == "masked":
        visible = as_tuple(inputs)[1][0] != 0
        assert visible.sum() == 14  # [CLS] as well
    elif name == "spans":
        ids, visibility, _ = inputs
        whole = ids[visibility != 0].tolist()
        assert whole.count(EOS) == 3
    else:
        assert counted.count(EOS) == 3


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory, unigram: Path) -> ShardSet:
    folder = tmp_path_factory.mktemp("documents")
    lines = [" ".join(f"The stone {n} falls {k}." for k in range(n % 7 + 1)) for n in range(60)]
    (folder / "lines.txt").write_text("\n".join(lines) + "\n")
    plan = ShardingConfig(unigram, reading=ReadingConfig(documents="line"))
    return shard([folder / "lines.txt"], folder / "set", plan)[0]


@pytest.mark.parametrize("pad", ["eos", "sep", "cls", None])
def test_pairs_are_the_same_whatever_fills_them_up(documents: ShardSet, pad: str | None) -> None:
    known = load_tokenizer(documents.tokenizer).special
    without = {name: number for name, number in known.items() if name != "pad"}
    special = {**without, **({} if pad is None else {"pad": known[pad]})}
    batches = []
    for names in (known, {**special, "reserved": known["pad"]}):
        rows = PairRows(documents, 32, "next_sentence", names, 0.5, 0)
        samples = ordered(rows, 0, len(rows))
        objective = made(
            "masked", 32, 1000, special=names, pairs="next_sentence", folder=documents.tokenizer
        )
        batches.append((samples, *objective.batch(samples)))
    (samples, (ids, *extras), labels), (others, (other_ids, *other_extras), other_labels) = batches
    assert samples.text.tolist() == others.text.tolist()
    assert not samples.text.all()
    assert (samples.tokens[~samples.text] == known["pad"]).all()
    assert (ids[ids != other_ids] == known["pad"]).all()
    pairs = [*zip(extras, other_extras, strict=True), *zip(labels, other_labels, strict=True)]
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_lengths_of_packed_rows_are_those_of_their_documents(documents: ShardSet) -> None:
    special = load_tokenizer(documents.tokenizer).special
    pads = (special["pad"], special["eos"])
    own, end = (Stream([PackedRows(documents, 40, pad)], None, 0).samples(3, 50) for pad in pads)
    assert own.text.tolist() == (own.tokens != special["pad"]).tolist()
    assert end.text.tolist() == own.text.tolist()
    assert end[7:20].text.tolist() == own.text[7:20].tolist()
    assert np.array_equal(end.tokens[end.text], own.tokens[own.text])
