"""Adapters out: merged as `transformers` loads them, alone as `peft` loads them onto the base."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.bert import SHAPE
from helpers.exports import TOKENS, loaded, ours
from helpers.hub import write_checkpoint
from helpers.models import LLAMA, shaken
from helpers.needs import oracle
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from dslm.commands.hub import main
from dslm.config.parse import parse
from dslm.errors import UserError
from dslm.hub.exporting import export_run
from dslm.hub.peft_folder import export_adapters
from dslm.inference.trained import load
from dslm.model.low_rank import ADAPTER
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.run.checkpoint import checkpoints, read_weights
from dslm.run.config import RunConfig
from dslm.run.folder import RunFolder

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
MakeRun = Callable[..., Path]
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": {**LLAMA, "key_value_heads": 2},
    "bert": SHAPE,
}
T5: dict[str, Any] = {
    **{"encoder_layers": 1, "positions": "relative", "norm": "rms", "bias": False, "padding": 30},
    **{"attention_scale": False, "head_scale": True, "activation": "relu"},
}
OBJECTIVES = {"bert": "masked", "t5": "denoising"}
LORA = {"rank": 3, "alpha": 7.0}


def adapted(base: Path, run: RunFolder, lora: dict[str, Any]) -> Transformer:
    """A run with the weights of another one and adapters, and its model with these apart."""
    before = RunFolder(base)
    config = parse(RunConfig, {**asdict(before.read_config()), "lora": lora})
    run.path.mkdir()
    (run.path / "tokenizer").symlink_to(before.tokenizer)
    run.write_record({"format": 1, "config": asdict(config), "data": {"train": []}})
    model = shaken(Transformer(stages(config.model, 0, tuning=config.tuning)))
    weights = load(base).model.state_dict()
    model.load_state_dict(weights, strict=False)
    write_checkpoint(run, model)
    return model


def test_adapters_of_a_stack_that_sees_sources_whole_are_of_no_causal_model(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    objective = {"kind": "text_to_text", "text_to_text": {"prefix": True}}
    run = RunFolder(tmp_path / "adapted")
    adapted(make_run(trained_tokenizers["bpe"], 9, objective), run, LORA)
    with pytest.raises(UserError, match=r"text_to_text.prefix = True: .* other scores"):
        export_adapters(run.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def made(
    request: pytest.FixtureRequest, make_run: MakeRun, trained_tokenizers: dict[str, Path]
) -> Callable[..., tuple[Path, Transformer]]:
    """Makes a base and, from it, a run with adapters: ``made(kind, **lora)``."""

    def make(kind: str, **more: Any) -> tuple[Path, Transformer]:
        objective = {"kind": OBJECTIVES.get(kind, "causal")}
        shape = {**SHAPES, "t5": T5}[kind]
        base = make_run(trained_tokenizers["bpe"], objective=objective, **shape)
        return base, adapted(base, RunFolder(base.parent / "adapted"), {**LORA, **more})

    return make


@torch.no_grad()
def scores(model: Any) -> Tensor:
    found: Tensor = model(TOKENS).logits
    return found


@pytest.mark.parametrize("targets", ["attention", "all"])
@pytest.mark.parametrize("kind", SHAPES)
def test_adapters_give_the_same_scores_apart_merged_and_with_peft(
    kind: str, targets: str, made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, model = made(kind, targets=targets)
    run, auto = tmp_path / "adapted", AutoModelForCausalLM
    auto = AutoModelForMaskedLM if kind == "bert" else auto
    with torch.no_grad():
        apart = model(TOKENS)
    assert float((apart - ours(base)).abs().max()) > 1e-3
    assert float((apart - ours(run)).abs().max()) <= 1e-5
    export_run(run, tmp_path / "merged")
    assert float((apart - scores(loaded(tmp_path / "merged", auto))).abs().max()) <= 1e-5
    export_run(base, tmp_path / "base")
    main(["export", str(run), str(tmp_path / "alone"), "--peft"])
    theirs = loaded(tmp_path / "base", auto)
    both = oracle("peft").PeftModel.from_pretrained(theirs, str(tmp_path / "alone")).eval()
    assert float((apart - scores(both)).abs().max()) <= 1e-5
    settings = json.loads((tmp_path / "alone" / "adapter_config.json").read_text())
    assert f"adapters of {len(settings['target_modules'])} maps, step 7" in capsys.readouterr().out


@torch.no_grad()
def test_peft_wraps_an_encoder_decoder_as_a_model_from_text_to_text(
    made: Any, tmp_path: Path
) -> None:
    base, _ = made("t5", targets="all")
    export_run(base, tmp_path / "base")
    export_run(tmp_path / "adapted", tmp_path / "merged")
    main(["export", str(tmp_path / "adapted"), str(tmp_path / "alone"), "--peft"])
    plain, merged = (loaded(tmp_path / name, AutoModelForSeq2SeqLM) for name in ("base", "merged"))
    given = {"input_ids": TOKENS, "decoder_input_ids": TOKENS[:, :9]}
    before, wanted = plain(**given).logits, merged(**given).logits
    peft = oracle("peft")
    both = peft.PeftModel.from_pretrained(plain, str(tmp_path / "alone")).eval()
    assert isinstance(both, peft.PeftModelForSeq2SeqLM)
    assert float((wanted - before).abs().max()) > 1e-3
    assert float((wanted - both(**given).logits).abs().max()) <= 1e-5


def test_a_run_without_adapters_has_none_to_write(
    make_run: MakeRun, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    run = make_run(trained_tokenizers["bpe"])
    with pytest.raises(UserError, match="has no adapters") as found:
        main(["export", str(run), str(tmp_path / "alone"), "--peft"])
    assert "train some with lora.rank" in str(found.value)
    assert not (tmp_path / "alone").exists()


def test_a_checkpoint_keeps_base_and_adapters_apart(made: Any, tmp_path: Path) -> None:
    base, _ = made("gpt2")
    (_, folder), *_ = checkpoints(RunFolder(tmp_path / "adapted").checkpoints)
    kept = read_weights(folder)
    for name, weight in load(base).model.layers.state_dict().items():
        assert torch.equal(kept[name], weight)
    assert sum(ADAPTER in name for name in kept) == 2 * 2 * 2
