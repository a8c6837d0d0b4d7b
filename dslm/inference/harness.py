"""A run as a model of lm-eval, EleutherAI's evaluation harness (Gao et al. 2021).

lm-eval asks three things of a model: how likely a text is behind another, how likely a whole text
is, and how a text goes on. Texts are cut into tokens and windows exactly as for its own model `hf`,
so that a run has the scores of what is exported of it. To import this module is to register the
model, as ``dslm``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  # else registering ours would hide the others
import torch
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from dslm.errors import ConfigError, DataError, Problem
from dslm.inference.continuations import Continuation, likelihoods
from dslm.inference.generate import search
from dslm.inference.harness_requests import check_objective, writing
from dslm.inference.next_token import OneStack
from dslm.inference.prompt_file import TOGETHER
from dslm.inference.sampling import WritingConfig
from dslm.inference.trained import Trained, load
from dslm.inference.writing import Task
from dslm.progress import Progress

Tokens = list[int]
GIVEN = {"device", "batch_size", "max_batch_size"}
"""What lm-eval hands to every model."""


@register_model("dslm")
class Harnessed(TemplateLM):  # type: ignore[misc]
    """A model that continues texts, as lm-eval calls it.

    Args:
        run: the folder of a run, or its model, loaded.
        step: which checkpoint; the newest unless given.
        others: what lm-eval hands to every model: its device and sizes of batches. Here a run is on
            the GPU where there is one, and batches go by the number of tokens.

    Raises:
        UserError: there is no such model, or it does not continue texts.
    """

    def __init__(self, run: str | Path | Trained, step: int | None = None, **others: Any) -> None:
        super().__init__()
        trained = run if isinstance(run, Trained) else load(Path(run), step)
        problems = check_objective(trained.objective, str(trained.run))
        unknown = others.keys() - GIVEN
        problems += [Problem(name, others[name], "there is no such setting") for name in unknown]
        if problems:
            raise ConfigError(*problems)
        self.trained, self._device = trained, trained.device
        self.shortened = 0
        """How many texts were longer than what the model reads, which is their end."""

    @property
    def eot_token_id(self) -> int:
        """What ends a document."""
        return self._special(self.trained.tokenizer.end_of_document)

    @property
    def prefix_token_id(self) -> int:
        """Behind what a text begins."""
        tokenizer = self.trained.tokenizer
        return self._special(tokenizer.special.get("bos", tokenizer.end_of_document))

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: object
    ) -> Tokens:
        """The ids of a text, behind those with which the tokenizer begins one unless refused."""
        tokenizer = self.trained.tokenizer
        ids = tokenizer.encode([string])[0].tolist()
        return ids if add_special_tokens is False else [*tokenizer.begin, *ids]

    def loglikelihood(
        self, requests: Sequence[Any], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        """The log-probability of a text behind another, and whether it would be written there."""
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return found

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, Tokens, Tokens]], **_: object
    ) -> list[tuple[float, bool]]:
        """The log-probability of tokens behind others, and whether they are the likeliest."""
        reach = self.trained.config.model.reach
        for _words, given, tokens in requests:
            if reach is not None and len(tokens) > reach:
                rule = f"has {len(tokens)} tokens, but the model reads {reach} at most"
                raise DataError(Problem("a continuation", None, rule, "leave the task out"))
            self.shortened += reach is not None and len(given) + len(tokens) > reach + 1
        asked = [Continuation(given, tokens) for _words, given, tokens in requests]
        with Progress(len(asked), "texts", "scoring") as progress:
            found = likelihoods(self.trained, asked, progress.advance)
        answers = [(one.log, one.greedy) for one in found]
        for (words, *_tokens), answer in zip(requests, answers, strict=True):
            if words is not None:
                self.cache_hook.add_partial("loglikelihood", words, answer)
        return answers

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """The log-probability of whole texts, of long ones window by window."""
        windows, owners = list[tuple[Any, Tokens, Tokens]](), list[int]()
        for number, request in enumerate(requests):
            for given, tokens in self._windows(self.tok_encode(request.args[0])):
                windows.append((None, given, tokens))
                owners.append(number)
        sums = [0.0] * len(requests)
        for number, (log, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            sums[number] += log
        return sums

    def _windows(self, ids: Tokens) -> Iterable[tuple[Tokens, Tokens]]:
        """What is predicted of a text, each part with what it is predicted from."""
        reach = self.trained.config.model.reach or len(ids) + 1
        windows = get_rolling_token_windows(ids, self.prefix_token_id, reach, context_len=1)
        return map(make_disjoint_window, windows)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """How texts go on, up to the strings at which to stop; equal ones are drawn anew."""
        asked = [(request.args[0], writing(request.args[1])) for request in requests]
        groups: dict[tuple[WritingConfig, int], list[str]] = {}
        for (text, how), count in Counter(asked).items():
            groups.setdefault((how, count if how.sampling.temperature else 1), []).append(text)
        written: dict[tuple[str, WritingConfig], list[str]] = {}
        with Progress(len(requests), "texts", "writing") as progress:
            for (how, count), texts in groups.items():
                texts.sort(key=len)
                for start in range(0, len(texts), TOGETHER):
                    some = texts[start : start + TOGETHER]
                    for text, found in zip(some, self._written(some, how, count), strict=True):
                        written[text, how] = found
                    progress.advance(len(some) * count)
        turn = Counter[tuple[str, WritingConfig]]()
        answers = []
        for one, request in zip(asked, requests, strict=True):
            answers.append(written[one][turn[one] % len(written[one])])
            turn[one] += 1
            self.cache_hook.add_partial("generate_until", request.args, answers[-1])
        return answers

    @torch.no_grad()
    def _written(self, texts: Sequence[str], how: WritingConfig, count: int) -> list[list[str]]:
        """What follows each text, `count` times."""
        trained, tokenizer = self.trained, self.trained.tokenizer
        config, limit = trained.config.model, how.new_tokens
        prompts = [self._shortened(tokenizer.prompt(text), limit) for text in texts]
        never = torch.arange(config.size, device=trained.device) >= tokenizer.vocabulary
        sampling = replace(how.sampling, samples=count)
        # As for `hf` what is new is decoded alone: at its beginning some tokenizers drop a space.
        alone: list[Tokens] = [[] for _ in prompts]
        end = tokenizer.end_of_document
        limits = [limit] * len(prompts)
        task = Task(tokenizer.decode, prompts, alone, limits, never, end, sampling)
        found = search(task, OneStack(trained.model, config, prompts, limit))
        return [[one.text for one in found if one.prompt == n] for n in range(len(texts))]

    def _shortened(self, ids: Tokens, new_tokens: int) -> Tokens:
        """The end of a text behind which so many tokens fit, or what half a window holds."""
        reach = self.trained.config.model.reach
        if reach is None:
            return ids
        room = reach - new_tokens if new_tokens < reach else reach // 2
        self.shortened += len(ids) > room
        return ids[-room:]

    def _special(self, found: int | None) -> int:
        if found is None:
            rule = "has no id for where a document begins or ends, behind which a text is scored"
            fix = "leave out tasks with texts that nothing comes before"
            raise DataError(Problem("the tokenizer", None, rule, fix))
        return found
