"""Every key of a config.json, changed: the scores are those of `transformers`, or it is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from helpers.hub import COUSINS, THEIRS
from helpers.models import shaken
from torch import Tensor
from transformers.activations import ACT2FN

from dslm.errors import UserError
from dslm.hub.folder import open_folder
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

AUTO: dict[str, Any] = {
    "gpt2": transformers.AutoModelForCausalLM,
    "llama": transformers.AutoModelForCausalLM,
    "bert": transformers.AutoModelForPreTraining,
    "opt": transformers.AutoModelForCausalLM,
    "gpt_bigcode": transformers.AutoModelForCausalLM,
    "mistral": transformers.AutoModelForCausalLM,
    "mixtral": transformers.AutoModelForCausalLM,
    "qwen3": transformers.AutoModelForCausalLM,
    "qwen3_moe": transformers.AutoModelForCausalLM,
    "t5": transformers.AutoModelForSeq2SeqLM,
    "bart": transformers.AutoModelForSeq2SeqLM,
}
MODELS = {**THEIRS, **COUSINS}
ROWS = torch.arange(48).reshape(2, 24) * 5 % 301
SEGMENTS = ROWS % 2

TYPES = [[name] for name in ("GPT2LMHeadModel", "LlamaForCausalLM", "BertForPreTraining")]
LINEAR = {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}
ROTARY: list[Any] = [
    *({"rope_theta": 500.0, "factor": 4.0, "type": kind} for kind in ("linear", "dynamic")),
    *({"rope_theta": theta, "type": "default"} for theta in (500.0, 700.0)),
    *({"rope_theta": theta} for theta in (500.0, 700.0, None, "500")),
    *({"rope_type": kind} for kind in ("default", "linear", None)),
    {"type": "default"},
    {"factor": 2.0},
    {**LINEAR, "type": "default"},
    {**LINEAR, "rope_type": "default", "type": "linear"},
    {**LINEAR, "rope_type": "default", "partial_rotary_factor": 0.5},
    {**LINEAR, "rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    {**LINEAR, "rope_type": "yarn"},
    {"full_attention": LINEAR},
    [LINEAR],
]
SPECIAL: dict[str, list[Any]] = {
    "activation_function": [*ACT2FN],
    "architectures": [*TYPES, [], ["GPT2Model"], ["BertForMaskedLM"], ["MistralForCausalLM"]],
    "attn_implementation": ["eager"],
    "auto_map": [{"AutoModelForCausalLM": "other.Model", "AutoConfig": "other.Config"}],
    "decoder_layers": [2],
    "dense_act_fn": ["relu", "gelu_new", "silu"],
    "dtype": ["bfloat16", "float16"],
    "feed_forward_proj": [*ACT2FN, *(f"gated-{name}" for name in ACT2FN), "a-b", "gated-gelu-new"],
    "head_dim": [8, 16],
    "hidden_act": [*ACT2FN],
    "hidden_size": [48, 96],
    "is_encoder_decoder": [True],
    "is_gated_act": [True],
    "layer_types": [["full_attention"] * 3, ["sliding_attention"] * 3],
    "model_type": ["gpt2", "llama", "bert", "mistral", "roberta", "granite", ""],
    "num_attention_heads": [3, 6],
    "num_experts": [4],
    "num_experts_per_tok": [1, 2, 3],
    "num_hidden_layers": [2, 3],
    "num_key_value_heads": [1, 3, 6],
    "original_max_position_embeddings": [8],
    "partial_rotary_factor": [0.5],
    "position_embedding_type": ["absolute", "relative_key", "relative_key_query"],
    "problem_type": ["regression"],
    "pruned_heads": [{"0": [1]}],
    "quantization_config": [{"quant_method": "bitsandbytes", "load_in_8bit": True}],
    "rope_parameters": ROTARY,
    "rope_scaling": ROTARY,
    "rope_theta": [500.0, 700.0, 500, "500"],
    "scale_decoder_outputs": [True, False],
    "scale_embedding": [True],
    "sliding_window": [4],
    "torch_dtype": ["bfloat16"],
    "use_bfloat16": [True],
}
"""What is worth trying beyond `others`, of keys that a class has and of some that none has."""

HARMLESS = {
    "_name_or_path": "somebody/model",
    "attn_implementation": "eager",
    "bos_token_id": 7,
    "chunk_size_feed_forward": 0,
    "dtype": "bfloat16",
    "eos_token_id": [5, 6],
    "generation_config": {"do_sample": True},
    "id2label": {"0": "no", "1": "yes"},
    "initializer_range": 0.3,
    "num_labels": 5,
    "output_attentions": True,
    "output_hidden_states": True,
    "pad_token_id": 3,
    "problem_type": "regression",
    "rope_scaling": None,
    "torch_dtype": "float16",
    "transformers_version": "4.0.0",
    "use_cache": False,
}
"""Values that change no score, so that nobody may be kept from a model by them."""


def others(value: Any) -> Iterator[Any]:
    """Values beside one, of its kind and of others."""
    yield from (None, True, False, 0, 3, -1, 0.5, "some", [], {})
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from (value + 1, value * 2, str(value))


def perturbed(kind: str) -> Iterator[tuple[str, Any]]:
    """Each key of a family's class, and others that files have, with each value to try."""
    known = MODELS[kind]().config.to_dict()
    for key in dict.fromkeys([*known, *SPECIAL]):
        tried: list[str] = []
        for value in [*others(known.get(key)), *SPECIAL.get(key, [])]:
            if repr(value) not in tried:
                yield key, value
                tried.append(repr(value))


@pytest.fixture(scope="module", params=AUTO)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A family, the folder of a model of it, and its weights."""
    model = shaken(MODELS[request.param]())
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    return request.param, folder, model.state_dict()


def write(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(settings))


def ours(kind: str, folder: Path) -> list[Tensor]:
    opened = open_folder(folder)
    extras = ["segments"] if kind == "bert" else []
    extras = ["visibility", "targets"] if opened.config.encoder_layers else extras
    with torch.device("meta"):
        model = Transformer(stages(opened.config, 0, extras))
    read = {f"layers.{weight.ours}": opened.read(weight) for weight in opened.weights}
    model.load_state_dict(read, assign=True)
    rows, segments = (tensor[:, : opened.config.sequence] for tensor in (ROWS, SEGMENTS))
    inputs = (rows, segments) if kind == "bert" else rows
    if opened.config.encoder_layers:
        inputs = rows, -torch.ones_like(rows), rows.flip(1)
    with torch.no_grad():
        scores = model.eval()(inputs)
    return list(scores) if isinstance(scores, tuple) else [scores]


def theirs(
    kind: str, folder: Path, weights: dict[str, Tensor], length: int = 24
) -> list[Tensor] | None:
    """The scores of `transformers` by the same file; `None` where it refuses it.

    Args:
        kind: the type of the model.
        folder: where the file is.
        weights: of the model.
        length: tokens of a source.
    """
    try:
        config = transformers.AutoConfig.from_pretrained(folder)
        model = AUTO[kind].from_config(config, dtype=torch.float32)
        model.load_state_dict(weights)
        extra: dict[str, Any] = {"token_type_ids": SEGMENTS} if kind == "bert" else {}
        if kind in ("t5", "bart"):
            extra = {"decoder_input_ids": ROWS[:, :length].flip(1), "use_cache": False}
        with torch.no_grad():
            read = ROWS[:, :length] if kind in ("t5", "bart") else ROWS
            scores = model.eval()(input_ids=read, return_dict=True, **extra)
    except Exception:  # whatever it may be: it computes nothing
        return None
    names = ("prediction_logits", "seq_relationship_logits") if kind == "bert" else ("logits",)
    return [scores[name] for name in names]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    """Whether scores agree as far as ours go: a rotary model of theirs has no last position."""
    pairs = zip(one, other, strict=False)
    return all(torch.allclose(a, b[:, : a.shape[1]], rtol=0, atol=1e-5) for a, b in pairs)


@pytest.mark.slow
def test_what_a_key_says_is_computed_or_refused(saved: Any) -> None:
    kind, folder, weights = saved
    settings = json.loads((folder / "config.json").read_text())
    silent, accepted, refused = [], 0, 0
    for key, value in perturbed(kind):
        write(folder, {**settings, key: value})
        try:
            scores = ours(kind, folder)
        except UserError:
            refused += 1
            continue
        expected = theirs(kind, folder, weights, scores[0].shape[1])
        accepted += expected is not None
        if expected is not None and not same(scores, expected):
            silent.append((key, value))
    write(folder, settings)
    assert not silent
    assert min(accepted, refused) > 100


def test_nobody_is_kept_from_a_model_by_what_changes_no_score(saved: Any) -> None:
    kind, folder, weights = saved
    settings = json.loads((folder / "config.json").read_text())
    expected = theirs(kind, folder, weights)
    assert expected is not None
    for key, value in HARMLESS.items():
        write(folder, {**settings, key: value})
        scores = ours(kind, folder)
        write(folder, settings)
        assert same(scores, expected), key
