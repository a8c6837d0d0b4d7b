"""T5 and BART from folders of theirs: what is written, what is refused, what goes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub import BART, T5, TOKENIZERS, change, untied_t5
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from dslm.errors import UserError
from dslm.hub.exporting import export_run
from dslm.hub.importing import import_folder
from dslm.inference.complete import complete_all
from dslm.inference.generate import Request
from dslm.inference.prompt_file import Prompt
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import Trained, load
from dslm.quantization.config import QuantizationConfig
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.pair_frame import PairFrame

PROMPTS = ["the river falls", "stone", "under the light o fallsls river", "the light and the stone"]
NEW = 14
Home = Callable[..., Path]
LONGER = {"num_decoder_layers": 2}  # their cache of a T5 fails where the decoder is the deeper one
LIVELY: dict[str, Callable[[], Any]] = {
    "t5": lambda: T5ForConditionalGeneration(T5Config(**{**T5, **LONGER, "n_positions": 40})),
    "t5 1.1": lambda: untied_t5({**T5, **LONGER, "d_kv": 12, "n_positions": 40}, "gated-gelu"),
    "bart": lambda: BartForConditionalGeneration(
        BartConfig(**{**BART, "max_position_embeddings": 40}, forced_bos_token_id=0)
    ),
    "bart that is not made to begin with <s>": lambda: BartForConditionalGeneration(
        BartConfig(**{**BART, "max_position_embeddings": 40})
    ),
}


@pytest.fixture(scope="module", params=LIVELY)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any, Trained]:
    """A model of theirs whose texts are of many words, its tokenizer, and the same as a run."""
    torch.manual_seed(7)
    model, folder = LIVELY[request.param]().eval(), tmp_path_factory.mktemp("model")
    end = model.config.eos_token_id
    for name, weight in model.named_parameters():
        if weight.dim() > 1:  # biases drown what is read
            weight.data.add_(torch.randn_like(weight) * (0.1 if "shared" in name else 0.5))
        if name.endswith("embed_positions.weight"):
            weight.data[:2] = 0
    head = model.get_output_embeddings().weight.data
    head[end] = 2 * torch.randn(head.shape[1]) * head.std()
    model.generation_config.forced_eos_token_id = None  # which ends BART's longest texts
    model.save_pretrained(folder / "theirs")
    TOKENIZERS[model.config.model_type]().save(str(folder / "theirs/tokenizer.json"))
    import_folder(folder / "theirs", folder / "run")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "theirs/tokenizer.json"))
    return model, tokenizer, load(folder / "run")


def theirs(model: Any, tokenizer: Any, prompt: str, **settings: Any) -> list[int]:
    """What `transformers` writes of a text, up to its end; ids that pad the vocabulary never."""
    how = {
        "max_new_tokens": NEW,
        "do_sample": False,
        "suppress_tokens": [*range(len(tokenizer), 301)],
    }
    made = model.generate(**tokenizer(prompt, return_tensors="pt"), **how, **settings)
    behind: list[int] = made[0, 1:].tolist()
    end = model.config.eos_token_id
    return behind[: behind.index(end)] if end in behind else behind


@pytest.mark.parametrize(("beams", "power"), [(1, 1.0), (4, 1.0), (3, 2.0)])
def test_an_imported_model_writes_what_transformers_writes(
    pair: tuple[Any, Any, Trained], beams: int, power: float
) -> None:
    model, tokenizer, trained = pair
    more: dict[str, Any] = {"num_beams": beams, "length_penalty": power} if beams > 1 else {}
    more["repetition_penalty"] = 1.5
    wanted = [theirs(model, tokenizer, prompt, **more) for prompt in PROMPTS]
    sampling = SamplingConfig(
        temperature=0, beams=beams, length_penalty=power, repetition_penalty=1.5
    )
    found = [*complete_all(trained, [*map(Prompt, PROMPTS)], Request(NEW, sampling))]
    assert [[number for number, _ in one.written] for one in found] == wanted
    assert [one.text for one in found] == [
        tokenizer.decode(ids, skip_special_tokens=True) for ids in wanted
    ]
    assert len({*map(tuple, wanted)}) > 1


SHAPES: dict[str, dict[str, Any]] = {
    "spans": {
        **{"positions": "relative", "relative_distance": 20, "norm": "rms", "bias": False},
        **{"attention_scale": False, "head_scale": True, "activation": "relu", "head_width": 12},
    },
    "infilling": {"embedding_norm": True, "norm_position": "post", "activation": "gelu"},
}


@pytest.mark.parametrize("kind", ["bpe", "char"])
@pytest.mark.parametrize("style", SHAPES)
def test_a_run_of_ours_writes_there_what_it_writes_here(
    style: str, kind: str, make_run: Any, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    objective = {"kind": "denoising", "denoising": {"style": style}}
    shape = {**SHAPES[style], "encoder_layers": 2, "initialization": 0.3}
    run = make_run(trained_tokenizers[kind], 30, objective, **shape)
    export_run(run, tmp_path / "out")
    import_folder(tmp_path / "out", tmp_path / "again")
    trained, again = load(run), load(tmp_path / "again")
    frame, marks = trained.objective.frame, trained.objective.corruption.marks  # type: ignore[attr-defined]
    assert (again.tokenizer.card.pair, again.objective.frame) == (frame, frame)  # type: ignore[attr-defined]
    assert again.objective.corruption.marks[: len(marks)] == marks  # type: ignore[attr-defined]
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out").eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path / "out")
    gap = tokenizer.convert_ids_to_tokens(marks[0])
    given = tokenizer(f"the river{gap} falls", return_tensors="pt")
    made = model.generate(**given, max_new_tokens=NEW, do_sample=False)[0, 1:].tolist()
    made = made[: made.index(frame.end)] if frame.end in made else made
    request = Request(NEW, SamplingConfig(temperature=0))
    for one in (trained, again):
        (found,) = complete_all(one, [Prompt("the river<mask> falls")], request)
        assert [number for number, _ in found.written] == made


def test_a_model_whose_tokenizer_is_a_sentencepiece_model_has_its_gaps(
    home: Home, theirs: Any, trained_tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    folder = home(theirs("t5"))
    (folder / "tokenizer.json").unlink()
    model = (trained_tokenizers["unigram"] / "tokenizer.model").read_bytes()
    (folder / "spiece.model").write_bytes(model)
    (folder / "tokenizer_config.json").write_text('{"extra_ids": 20}')
    size = load_tokenizer(folder / "spiece.model").vocabulary
    change(folder, vocab_size=size)
    weights = load_file(folder / "model.safetensors")
    weights["shared.weight"] = torch.randn(size, 48)
    save_file(weights, folder / "model.safetensors")
    import_folder(folder, tmp_path / "run")
    card = load(tmp_path / "run").tokenizer.card
    assert card.gaps == tuple(range(size - 1, size - 21, -1))
    assert card.pair == PairFrame(begin=0, end=1, behind=(1,))


@pytest.mark.parametrize(
    ("kind", "settings", "line"),
    [
        ("bart", {"scale_embedding": True}, "scale_embedding = True: dslm computes only false"),
        ("bart", {"decoder_attention_heads": 3}, "decoder_attention_heads = 3: differs from"),
        ("bart", {"eos_token_id": 301}, "eos_token_id = 301: is none of the model's 301 ids"),
        ("t5", {"dense_act_fn": "silu"}, "feed_forward_proj = 'silu': dslm computes only"),
        ("t5", {"num_layers": 0}, "num_layers = 0"),
        ("t5", {"is_encoder_decoder": False}, "is_encoder_decoder = False: dslm computes only"),
    ],
)
def test_what_we_do_not_compute_is_refused_by_its_key(
    kind: str, settings: dict[str, Any], line: str, home: Home, theirs: Any, tmp_path: Path
) -> None:
    folder = home(theirs(kind))
    change(folder, **settings)
    with pytest.raises(UserError) as caught:
        import_folder(folder, tmp_path / "run")
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "rule"),
    [
        ("bart", "final_logits_bias", "is not zero"),
        ("bart", "model.encoder.embed_tokens.weight", "differs from model.shared.weight"),
        ("t5", "decoder.embed_tokens.weight", "differs from shared.weight, with which it shares"),
        ("t5", "lm_head.weight", "though tie_word_embeddings is true"),
    ],
)
def test_a_tensor_that_is_not_what_it_must_be_is_refused(
    kind: str, name: str, rule: str, home: Home, theirs: Any, tmp_path: Path
) -> None:
    folder = home(theirs(kind))
    weights = load_file(folder / "model.safetensors")
    shape = (1, 301) if name == "final_logits_bias" else (301, 48)
    save_file({**weights, name: torch.ones(shape)}, folder / "model.safetensors")
    with pytest.raises(UserError, match=rule):
        import_folder(folder, tmp_path / "run")


def test_an_encoder_decoder_of_few_bits_is_refused(
    make_run: Any, trained_tokenizers: dict[str, Path]
) -> None:
    objective = {"kind": "denoising", "denoising": {"style": "infilling"}}
    run = make_run(
        trained_tokenizers["bpe"], 30, objective, encoder_layers=2, **SHAPES["infilling"]
    )
    rounded = QuantizationConfig(scheme="w4", group_size=32)
    for format in ("compressed-tensors", "gguf"):
        with pytest.raises(UserError, match="--format floats"):
            export_run(run, run.parent / "out", quantization=rounded, format=format)
