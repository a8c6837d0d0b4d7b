"""T5 and BART from folders of theirs: what is written, what is refused, what goes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub import BART, T5, TOKENIZERS, untied_t5
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from dslm.hub.importing import import_folder
from dslm.inference.complete import complete_all
from dslm.inference.generate import Request
from dslm.inference.prompt_file import Prompt
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import Trained, load

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
