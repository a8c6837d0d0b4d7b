"""What an encoder–decoder writes: of many sources as of each alone, and as `transformers` does."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.encoder_decoders import EXTRAS, KINDS, THEIRS, pair
from helpers.models import shaken
from helpers.untrained import untrained_run
from helpers.writing import letters

from dslm.inference.complete import complete, complete_all
from dslm.inference.generate import Request, search
from dslm.inference.prompt_file import Prompt
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load
from dslm.inference.two_stacks import TwoStacks
from dslm.inference.writing import Task, Written
from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

SOURCES = [[5, 25, 31], [17], [9, 10, 11, 12, 5, 6, 90, 41, 9], [44, 45, 46], [*range(30, 65)]]
BEGIN, END, NEW = 3, 7, 14
WAYS = {
    "likeliest": SamplingConfig(temperature=0, repetition_penalty=1.4),
    "sampled": SamplingConfig(temperature=1.5, top_k=20, seed=3, samples=2),
    "beams": SamplingConfig(temperature=0, beams=3, repetition_penalty=1.2),
}


@lru_cache
def lively(kind: str) -> tuple[ModelConfig, Any]:
    """A model whose texts are of many words, and end now and then."""
    config = ModelConfig(**KINDS[kind], initialization=0.3)
    return config, shaken(Transformer(stages(config, 0, EXTRAS)))


def written(
    config: ModelConfig,
    model: Any,
    sources: list[list[int]],
    sampling: SamplingConfig,
    cached: bool = True,
) -> list[Written]:
    """What is written of some sources."""
    begun = [[BEGIN] for _ in sources]
    never, limits = torch.zeros(config.size, dtype=torch.bool), [NEW] * len(sources)
    task = Task(letters, begun, begun, limits, never, END, sampling, sources=sources)
    return search(task, TwoStacks(model, config, sources, BEGIN, NEW, cached=cached))


def found(kind: str, way: str, sources: list[list[int]], cached: bool = True) -> list[Any]:
    """The tokens that are written, and why they end."""
    return [(one.tokens, one.end) for one in written(*lively(kind), sources, WAYS[way], cached)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_of_sources_of_different_lengths_is_written_what_is_of_each(kind: str, way: str) -> None:
    together = found(kind, way, SOURCES)
    assert together == [one for source in SOURCES for one in found(kind, way, [source])]
    assert len({tuple(tokens) for tokens, _ in together}) >= len(SOURCES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_remembered_changes_no_token(kind: str, way: str) -> None:
    assert found(kind, way, SOURCES) == found(kind, way, SOURCES, cached=False)


def test_some_of_these_texts_end_and_others_do_not() -> None:
    ends = {end for kind in KINDS for way in WAYS for _, end in found(kind, way, SOURCES)}
    assert ends == {"end of document", "length"}


@torch.no_grad()
def test_log_probabilities_are_those_of_the_model_whatever_the_way() -> None:
    config, model = lively("T5")
    for sampling in WAYS.values():
        for one in written(config, model, SOURCES[:3], sampling):
            source = torch.tensor([SOURCES[one.prompt]])
            row = torch.tensor([[BEGIN, *one.tokens]])
            logs = model((source, torch.full_like(source, -1), row))[0].log_softmax(-1)[:-1]
            wanted = logs.gather(1, row[0, 1:, None])[:, 0].tolist()
            assert one.logs == pytest.approx(wanted, abs=1e-4)


def test_draws_are_of_the_source() -> None:
    """Not of what the decoder begins with, which is the same for all."""
    never = torch.zeros(97, dtype=torch.bool)
    task = Task(
        letters, [[BEGIN]] * 2, [[]] * 2, [NEW] * 2, never, END, WAYS["sampled"], sources=SOURCES
    )
    first, other, again = (
        torch.rand(3, generator=task.draws(prompt, 0)).tolist() for prompt in (0, 1, 0)
    )
    assert first == again != other


@lru_cache
def noisy(kind: str) -> tuple[ModelConfig, Any, Any]:
    """One that `transformers` has, ours and theirs."""
    return pair(kind, noise=0.25, end=END)


def theirs(model: Any, source: list[int], **settings: Any) -> list[int]:
    """What `transformers` writes of a source, up to the end of the text."""
    model.generation_config.forced_eos_token_id = None  # BART's, which ends every text with it
    tokens = torch.tensor([source])
    # Their cache of a T5 fails where the encoder has fewer layers than the decoder.
    how = {
        "use_cache": False,
        "decoder_start_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": END,
    }
    made = model.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=NEW,
        do_sample=False,
        **how,
        **settings,
    )
    behind: list[int] = made[0, 1:].tolist()
    return behind[: behind.index(END)] if END in behind else behind


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize(
    ("beams", "power", "penalty"), [(1, 1.0, 1.0), (1, 1.0, 1.3), (2, 1.0, 1.0), (4, 2.0, 1.3)]
)
def test_the_tokens_are_theirs(kind: str, beams: int, power: float, penalty: float) -> None:
    config, ours, model = noisy(kind)
    sampling = SamplingConfig(
        temperature=0, beams=beams, length_penalty=power, repetition_penalty=penalty
    )
    more = {"num_beams": beams, "length_penalty": power} if beams > 1 else {}
    wanted = [theirs(model, source, repetition_penalty=penalty, **more) for source in SOURCES]
    assert [one.tokens for one in written(config, ours, SOURCES, sampling)] == wanted
    assert len({tuple(one) for one in wanted}) > 2


@pytest.mark.parametrize("style", ["spans", "infilling"])
def test_damaged_texts_are_restored_together_as_alone(
    style: str, tmp_path: Path, shard_set: Path, deepspeed_file: Path
) -> None:
    words = ["objective.kind=denoising", f"objective.denoising.style={style}"]
    words += ["model.encoder_layers=1", "model.positions=relative", "model.relative_distance=20"]
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file, *words, factor=8)
    trained = load(folder)
    prompts = ["1 plus<mask> is 2.", "<mask>", "2 plus 2<mask> 4."]
    for sampling in WAYS.values():
        request = Request(12, sampling)
        texts = list(complete_all(trained, [Prompt(one) for one in prompts], request))
        firsts = [one.text for one in texts if one.sample == 0]
        assert firsts == [complete(trained, one, 12, sampling) for one in prompts]
        assert any(one.written for one in texts)
