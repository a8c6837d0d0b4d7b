"""A denoising model asked: the prompt rendered as in training, the answer put where it belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.models import shaken
from helpers.untrained import untrained_run

from dslm.commands import generate as generate_command
from dslm.commands.cli import run
from dslm.environment import World
from dslm.errors import ConfigError
from dslm.inference.complete import complete, complete_all
from dslm.inference.generate import Request
from dslm.inference.prompt_file import Prompt
from dslm.inference.prompts import to_restore
from dslm.inference.restore import targets
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import Trained
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer
from dslm.train.prepare import prepare

GREEDY = SamplingConfig(temperature=0)
SHAPE = ["model.layers=2", "model.width=16", "model.heads=2", "model.sequence=40"]


@pytest.fixture
def asked(tmp_path: Path, shard_set: Path, deepspeed_file: Path) -> Any:
    """Makes an untrained model of a style: ``asked(style)``."""

    def make(style: str, *more: str) -> Trained:
        words = ["tiny", *SHAPE, "objective.kind=denoising", f"objective.denoising.style={style}"]
        words += more
        words += [f"data.train={shard_set}", f"run={tmp_path / 'run'}"]
        job = prepare(words, None, str(deepspeed_file), World())
        model = shaken(Transformer(stages(job.config.model, 0, job.objective.extras)))
        tokenizer = load_tokenizer(ShardSet.open(shard_set).tokenizer)
        device = torch.device("cpu")
        return Trained(tmp_path / "run", job.config, model, job.objective, tokenizer, 0, device)

    return make


class Scripted(torch.nn.Module):
    """A model that says what it was given to say."""

    def __init__(self, trained: Trained, said: list[int]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.said, self.size = iter(said), trained.config.model.size
        self.read: list[Any] = []

    def forward(self, inputs: Any, caches: Any) -> torch.Tensor:
        self.read.append(inputs)
        return torch.nn.functional.one_hot(torch.tensor([[next(self.said)]]), self.size).float()


def answer(trained: Trained, prompt: str, said: list[int]) -> tuple[str, Any]:
    model: Any = Scripted(trained, said)
    scripted = Trained(
        trained.run, trained.config, model, trained.objective, trained.tokenizer, 0, trained.device
    )
    return complete(scripted, prompt, 100, GREEDY), model.read


def ids(trained: Trained, text: str) -> list[int]:
    return [int(token) for token in trained.tokenizer.encode([text])[0]]


@pytest.mark.parametrize("positions", ["learned", "relative"])
@pytest.mark.parametrize("style", ["spans", "infilling", "masking", "deletion"])
@torch.no_grad()
def test_what_is_written_is_what_the_model_says_of_the_whole_row(
    style: str, positions: str, asked: Any
) -> None:
    trained = asked(style, f"model.positions={positions}")
    objective, size = trained.objective.completion(), trained.config.model.size
    prompt = "1 plus 1 is" if style == "deletion" else "1 plus<mask> is"
    source = to_restore(trained.tokenizer, objective, prompt)
    (found,) = targets(trained, objective, [source.tolist()], Request(12, GREEDY))
    written = found.written.tokens
    row = torch.tensor([[*source.tolist(), objective.frame.begin, *written]])
    seen = torch.tensor([[-1] * len(source) + [1] * (1 + len(written))])
    asked_for = torch.arange(len(source), row.shape[1])[None]
    scores = trained.model((row, seen, asked_for))[0]
    scores[:, objective.frame.begin] = -torch.inf
    best = scores.argmax(-1).tolist()
    assert best[: len(written)] == written
    assert len(written) == 12 or best[len(written)] == objective.frame.end
    assert max(written, default=0) < size


def test_spans_are_put_where_their_marks_are(asked: Any) -> None:
    trained = asked("spans")
    objective = trained.objective
    mark = objective.corruption.marks[0]
    said = [mark, *ids(trained, "lus"), mark + 1, *ids(trained, "s 2"), objective.frame.end]
    text, read = answer(trained, "1 p<mask> 1 i<mask>.", said)
    assert text == "1 plus 1 is 2."
    tokens, seen, selected = read[0]
    source = [*ids(trained, "1 p"), mark, *ids(trained, " 1 i"), mark + 1, *ids(trained, ".")]
    assert tokens.tolist() == [[*source, objective.frame.begin]]
    assert seen.tolist() == [[-1] * len(source) + [1]]
    assert selected.tolist() == [[len(source)]]


def test_the_other_styles_write_the_whole_text(asked: Any) -> None:
    trained = asked("infilling")
    said = [*ids(trained, "1 plus 1"), trained.objective.frame.end]
    assert answer(trained, "1<mask>1", said)[0] == "1 plus 1"


@pytest.mark.parametrize(
    ("style", "prompt", "rule"),
    [
        ("spans", "1 plus 1", "must hold <mask> where something is missing, at most 2 times"),
        ("spans", "1<mask>1<mask>1<mask>", "must hold <mask>"),
        ("deletion", "1 <mask> 1", "must not hold <mask>"),
        ("infilling", "1 plus 1 is 2. " * 9, "a damaged text of this model has 1 to"),
        ("masking", "", "has 0 tokens"),
    ],
)
def test_a_prompt_that_cannot_be_restored_is_reported(
    style: str, prompt: str, rule: str, asked: Any
) -> None:
    with pytest.raises(ConfigError, match=rule):
        complete(asked(style), prompt, 10, GREEDY)


@pytest.mark.parametrize("style", ["spans", "infilling"])
@pytest.mark.parametrize(
    "sampling", [GREEDY, SamplingConfig(temperature=0, beams=3), SamplingConfig(samples=2, seed=5)]
)
def test_texts_are_restored_together_as_one_by_one(
    style: str, sampling: SamplingConfig, asked: Any
) -> None:
    trained, request = asked(style), Request(8, sampling)
    prompts = [Prompt(text) for text in ("1 p<mask> 1", "17 plus 4 i<mask>1.", "2<mask>")]
    together = [(one.text, one.sample) for one in complete_all(trained, prompts, request)]
    assert together == [
        (one.text, one.sample)
        for prompt in prompts
        for one in complete_all(trained, [prompt], request)
    ]


def test_the_command_restores_with_such_a_model(
    tmp_path: Path,
    shard_set: Path,
    deepspeed_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["objective.kind=denoising", "objective.denoising.style=spans"]
    folder = untrained_run(tmp_path / "run", shard_set, deepspeed_file, *words)
    assert run(generate_command.main, [str(folder), "--prompt", "1 plus<mask> is 2."]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1 plus")
    assert printed.endswith(" is 2.\n")
