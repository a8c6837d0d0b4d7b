"""The page about a look inside a model: one file that reads offline."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dslm.inspection.look import Guess, Look
from dslm.report.markup import fill
from dslm.report.page import write_page

VISIBLE = str.maketrans({"\n": "⏎", "\t": "⇥", "\r": "␍"})
"""What stands for characters that nobody sees."""
DARKEST = 12.0
"""Bits of surprisal from which on a token is as dark as can be."""


def write_look(found: Look, page: Path, name: str, about: Sequence[str], causal: bool) -> None:
    """Write the page.

    Args:
        found: what is shown.
        page: the file; an older one is replaced in one move.
        name: of the run.
        about: what is known of it, in a few words each.
        causal: whether a token sees only those up to itself.

    Raises:
        SetupError: the page cannot be written.
    """
    write_page(page, render(found, name, about, causal))


def render(found: Look, name: str, about: Sequence[str], causal: bool) -> str:
    """The page as text; the arguments are those of `write_look`."""
    layers, heads, size, _ = found.weights.shape
    tokens = [shown(token) for token in found.tokens]
    bits = [one for one in found.bits if one is not None]
    data = {
        "tokens": tokens,
        "layers": layers,
        "heads": heads,
        "causal": causal,
        "weights": packed(found.weights, causal),
        "rollout": packed(found.rollout, causal),
    }
    return fill(
        "inspect.html",
        title=f"{name} · a look inside",
        name=name,
        about=about,
        causal=causal,
        tokens=tokens,
        bits=found.bits,
        darkest=DARKEST,
        figures=[
            ("tokens", f"{size:,}"),
            ("surprisal", f"{sum(bits):.1f} bits"),
            ("a token", f"{sum(bits) / len(bits):.2f} bits"),
        ],
        target=_cell(found.target),
        position=found.position,
        saliency=shares(found.saliency),
        lens=[[_cell(guess) for guess in layer] for layer in found.lens],
        layers=layers,
        heads=heads,
        data=data,
    )


def shown(piece: str) -> str:
    """The text of a token with everything in it visible."""
    text = piece.translate(VISIBLE)
    return "␣" * len(text) if text.isspace() else text


def packed(weights: Tensor, causal: bool) -> str:
    """Weights in [0, 1] as deflated bytes in base64, each in 255ths, row after row.

    Args:
        weights: […, S, S].
        causal: whether what is above the diagonal is left out.
    """
    whole = weights.clamp(0, 1).mul(255).round().byte()
    if causal:
        rows, columns = torch.tril_indices(*whole.shape[-2:])
        whole = whole[..., rows, columns]
    return base64.b64encode(zlib.compress(whole.numpy().tobytes(), 9)).decode()


def shares(parts: Sequence[float]) -> list[float]:
    """Parts with their signs, as shares of the sum of their sizes."""
    whole = sum(map(abs, parts)) or 1.0
    return [part / whole for part in parts]


def _cell(guess: Guess) -> tuple[str, float]:
    return shown(guess.piece), guess.probability
