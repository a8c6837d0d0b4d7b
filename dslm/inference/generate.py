"""Text from a model, token by token, each read only once thanks to a key/value cache.

A recurrent model without positions remembers by a state of fixed size, so its window has no end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

import torch
from torch import Tensor

from dslm.inference.mistakes import lost
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import Trained
from dslm.model.attention import Cache
from dslm.model.config import ModelConfig
from dslm.model.recurrent import State
from dslm.model.transformer import Transformer


def continue_text(trained: Trained, prompt: str, new_tokens: int, sampling: SamplingConfig) -> str:
    """The prompt, which must be usable, and what the model makes of it, up to the document's end.

    Args:
        trained: the model.
        prompt: the beginning, behind what the tokenizer puts before a text; empty begins a new
            document.
        new_tokens: how many tokens at most.
        sampling: how they are chosen.
    """
    tokenizer = trained.tokenizer
    end, tokens = tokenizer.end_of_document, tokenizer.prompt(prompt)
    model, config = trained.model, trained.config.model
    stream = generate(model, config, tokens, sampling, tokenizer.vocabulary, new_tokens)
    made = takewhile(lambda token: token != end, stream)
    given = tokens[len(tokenizer.begin) :] if prompt else []
    return tokenizer.decode([*given, *made])


@torch.no_grad()
def generate(
    model: Transformer,
    config: ModelConfig,
    tokens: Sequence[int],
    sampling: SamplingConfig,
    vocabulary: int,
    new_tokens: int,
    cached: bool = True,
) -> Iterator[int]:
    """Tokens that follow, as many as are asked for.

    When the model's window is full, if it has one, its second half is read again as the new
    beginning.

    Args:
        model: in evaluation mode.
        config: its shape.
        tokens: at least one to begin with.
        sampling: how the next is chosen.
        vocabulary: ids from here on are never chosen (the padding of a vocabulary).
        new_tokens: how many.
        cached: whether to keep keys and values, or a recurrent state, or to read everything again
            for each token.
    """
    device = next(model.parameters()).device
    draws = torch.Generator().manual_seed(sampling.seed)
    reach, window, kept = config.reach, list(tokens), None
    if reach is not None:
        window = window[-reach:]
    unread = window
    for left in range(new_tokens, 0, -1):
        if cached and kept is None:
            most = len(window) + left
            kept = caches(model, config, most if reach is None else min(most, reach))
        batch = torch.tensor([unread if cached else window], device=device)
        # A recurrent model reads a long beginning in pieces; scores of all would fill the memory.
        for piece in torch.split(batch, config.sequence, dim=1) if cached else [batch]:
            scores = model(piece, kept)[0, -1, :vocabulary]
        if not scores.isfinite().all():
            raise lost("its scores are not finite")
        token = choose(scores.float().cpu(), sampling, draws)
        yield token
        window.append(token)
        unread = [token]
        if reach is not None and len(window) > reach:
            window = window[-(reach // 2 + 1) :]
            unread, kept = window, None


def choose(scores: Tensor, sampling: SamplingConfig, draws: torch.Generator) -> int:
    """One token id by the scores [V] of all."""
    if sampling.temperature == 0:
        return int(scores.argmax())
    scores = scores / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < len(scores):
        kept = scores.topk(sampling.top_k).indices
        scores = torch.full_like(scores, -torch.inf).scatter(0, kept, scores[kept])
    if sampling.top_p is not None:
        scores = _nucleus(scores, sampling.top_p)
    return int(torch.multinomial(scores.softmax(0), 1, generator=draws))


def _nucleus(scores: Tensor, share: float) -> Tensor:
    """The scores with all but the likeliest tokens, of together `share`, at minus infinity."""
    ordered, indices = scores.sort(descending=True, stable=True)
    before = ordered.softmax(0).cumsum(0) - ordered.softmax(0)
    return scores.masked_fill((before >= share)[indices.argsort()], -torch.inf)


def caches(model: Transformer, config: ModelConfig, capacity: int) -> list[Cache | State]:
    """What every block of a model remembers of one text, of `capacity` tokens at most."""
    weight = next(model.parameters())
    if config.recurrent:
        return [State(config, 1, weight) for _ in range(config.layers)]
    return [Cache(config, 1, capacity, weight) for _ in range(config.layers)]
