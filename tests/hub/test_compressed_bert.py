"""A BERT in few bits: both heads, with segments and padding, as `transformers` computes them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.bert import ALONE, DRAW, LENGTHS, PAIRED, PAIRS, SHAPE, compared, heads
from helpers.exports import TOKENS, loaded, unpacked_model
from transformers import AutoModelForMaskedLM, AutoModelForPreTraining

from dslm.errors import UserError
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.trained import load
from dslm.model.quantize import rounded_weights
from dslm.quantization.config import QuantizationConfig

SCHEMES = {
    "w8a8": QuantizationConfig(scheme="w8a8"),
    "w4a8": QuantizationConfig(scheme="w4a8"),
    "w4": QuantizationConfig(scheme="w4", group_size=16),
    "w2": QuantizationConfig(scheme="w2"),
    "w2 with the heads": QuantizationConfig(scheme="w2", layers="linear"),
}
HEADS = QuantizationConfig(scheme="w8a8", layers="linear")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_both_heads_are_those_of_training(
    scheme: str,
    make_run: Callable[..., Path],
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run, how = make_run(trained_tokenizers["unigram"], 7, PAIRS, **PAIRED), SCHEMES[scheme]
    manifest = export_run(run, tmp_path / "out", None, how, "compressed-tensors").manifest
    assert (manifest.holder, manifest.why) == ("BertForPreTraining", "")
    trained = load(run, None, how, to_use=False)
    packed = loaded(tmp_path / "out", AutoModelForPreTraining)
    # Where inputs are rounded, a last digit may decide on a level: in few of so short texts.
    apart = [compared(trained, packed, trained.config.model.size, width=6) for _ in range(9)]
    assert statistics.median(apart) <= 1e-5
    tokens = torch.randint(trained.config.model.size, (3, 24), generator=DRAW)
    segments, real = (torch.arange(24) >= 9).long().expand(3, 24), torch.arange(24) < LENGTHS
    given = {"attention_mask": real.long(), "token_type_ids": segments}
    with torch.no_grad():
        found, wanted = (
            model(tokens, **given) for model in (packed, unpacked_model(tmp_path / "out", packed))
        )
    assert torch.equal(found.prediction_logits, wanted.prediction_logits)
    assert torch.equal(found.seq_relationship_logits, wanted.seq_relationship_logits)
    import_folder(tmp_path / "out", tmp_path / "again")
    again = load(tmp_path / "again", to_use=False)
    assert again.quantization == how
    pairs = zip(*(heads(one, tokens, segments, real) for one in (again, trained)), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_rounded_inputs_of_the_head_of_pairs_are_refused(
    make_run: Callable[..., Path], trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["unigram"], 7, PAIRS, **PAIRED)
    with pytest.raises(UserError, match="gives one step for all texts; use --format floats"):
        export_run(run, tmp_path / "out", None, HEADS, "compressed-tensors")


@pytest.mark.parametrize("how", [HEADS, SCHEMES["w4"]])
def test_a_model_without_pairs_is_loaded_for_masked_tokens(
    how: QuantizationConfig,
    make_run: Callable[..., Path],
    trained_tokenizers: dict[str, Path],
    tmp_path: Path,
) -> None:
    run = make_run(trained_tokenizers["bpe"], 0, ALONE, **SHAPE)
    export_run(run, tmp_path / "out", None, how, "compressed-tensors")
    packed = loaded(tmp_path / "out", AutoModelForMaskedLM)
    with torch.no_grad():
        scores = packed(TOKENS[:, :6]).logits
        assert torch.equal(scores, unpacked_model(tmp_path / "out", packed)(TOKENS[:, :6]).logits)
        ours = load(run, None, how, to_use=False).model(TOKENS[:, :6])
    assert float((scores - ours).abs().max()) <= 1e-5


@pytest.mark.parametrize("scheme", ["w8a8", "w4a8", "w4", "w3", "w2"])
def test_as_floats_both_heads_have_weights_on_the_grid(
    scheme: Any, make_run: Callable[..., Path], trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["unigram"], 7, PAIRS, **PAIRED)
    how = QuantizationConfig(scheme=scheme, layers="all")
    made = export_run(run, tmp_path / "out", None, how).manifest
    assert (made.holder, made.inputs) == ("BertForPreTraining", "as they are")
    trained = load(run, None, QuantizationConfig(), to_use=False)
    weights = rounded_weights(load(run, None, how, to_use=False).model)
    missing = trained.model.load_state_dict(weights, strict=False).unexpected_keys
    theirs = loaded(tmp_path / "out", AutoModelForPreTraining)
    assert not missing
    assert compared(trained, theirs, trained.config.model.size) <= 1e-5
    assert compared(load(run), theirs, trained.config.model.size) > 1e-4
