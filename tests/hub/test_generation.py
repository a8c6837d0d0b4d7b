"""Imported models write what `transformers` writes: greedy, by beams, with a penalty."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.hub import THEIRS, byte_level
from helpers.writing import write_all

from dslm.hub.importing import import_folder
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import Trained, load

PROMPTS = [[5, 250, 31], [17], [99, 100, 101, 102, 5, 6], [280, 3], [44, 45, 46], [7, 8, 9, 10]]
NEW, END = 14, 0
"""Tokens to write at most, and the id that ends a text."""


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Trained]:
    """A model of theirs, whose texts sometimes end, and the same as a run of ours."""
    torch.manual_seed(7)
    model, folder = THEIRS[request.param]().eval(), tmp_path_factory.mktemp("model")
    for weight in model.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.25)
    head = model.get_output_embeddings().weight.data
    head[END] = 2 * torch.randn(head.shape[1]) * head.std()
    model.save_pretrained(folder / "theirs")
    byte_level().save(str(folder / "theirs/tokenizer.json"))
    import_folder(folder / "theirs", folder / "run")
    return model, load(folder / "run")


def theirs(model: Any, prompt: list[int], **settings: Any) -> list[int]:
    """What `transformers` writes behind a prompt, up to the end of the text."""
    tokens = torch.tensor([prompt])
    how = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": END, "pad_token_id": END}
    made = model.generate(tokens, attention_mask=torch.ones_like(tokens), **how, **settings)[0]
    behind: list[int] = made[len(prompt) :].tolist()
    return behind[: behind.index(END)] if END in behind else behind


def ours(trained: Trained, prompts: list[list[int]], **settings: Any) -> list[list[int]]:
    """What we write behind some prompts at once."""
    sampling = SamplingConfig(temperature=0, **settings)
    config = trained.config.model
    found = write_all(trained.model, config, prompts, sampling, NEW, end=END)
    return [one.tokens for one in found]


@pytest.mark.parametrize("penalty", [1.0, 1.3, 0.7])
def test_the_likeliest_tokens_are_theirs(pair: tuple[Any, Trained], penalty: float) -> None:
    model, trained = pair
    wanted = [theirs(model, prompt, repetition_penalty=penalty) for prompt in PROMPTS]
    assert ours(trained, PROMPTS, repetition_penalty=penalty) == wanted


@pytest.mark.parametrize(
    ("beams", "power", "penalty"),
    [(2, 1.0, 1.0), (4, 1.0, 1.3), (4, 0.0, 1.0), (2, 2.0, 1.3), (4, -1.0, 1.0)],
)
def test_beams_find_the_texts_that_theirs_find(
    pair: tuple[Any, Trained], beams: int, power: float, penalty: float
) -> None:
    model, trained = pair
    how = {"length_penalty": power, "repetition_penalty": penalty}
    wanted = [theirs(model, prompt, num_beams=beams, **how) for prompt in PROMPTS]
    assert ours(trained, PROMPTS, beams=beams, **how) == wanted


def test_the_texts_are_of_many_lengths(pair: tuple[Any, Trained]) -> None:
    _, trained = pair
    lengths = {
        len(one)
        for beams, power in ((1, 1.0), (4, -1.0), (4, 2.0))
        for one in ours(trained, PROMPTS, beams=beams, length_penalty=power)
    }
    assert len(lengths) > 4
    assert max(lengths) == NEW
