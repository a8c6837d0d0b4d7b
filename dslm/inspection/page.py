"""The page about a look inside a model: one file that reads offline."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dslm.inspection.attention import Attention
from dslm.inspection.look import Guess, Look
from dslm.report.markup import fill
from dslm.report.page import write_page

VISIBLE = str.maketrans({"\n": "⏎", "\t": "⇥", "\r": "␍"})
"""What stands for characters that nobody sees."""
DARKEST = 12.0
"""Bits of surprisal from which on a token is as dark as can be."""


def write_look(found: Look, page: Path, name: str, about: Sequence[str]) -> None:
    """Write the page.

    Args:
        found: what is shown.
        page: the file; an older one is replaced in one move.
        name: of the run.
        about: what is known of it, in a few words each.

    Raises:
        SetupError: the page cannot be written.
    """
    write_page(page, render(found, name, about))


def render(found: Look, name: str, about: Sequence[str]) -> str:
    """The page as text; the arguments are those of `write_look`."""
    bits = [one for one in found.bits if one is not None]
    figures = [("tokens", f"{len(found.tokens):,}")]
    if found.source:
        figures.insert(0, ("tokens of the source", f"{len(found.source):,}"))
    if bits:
        figures.append(("surprisal", f"{sum(bits):.1f} bits"))
        figures.append(("a token", f"{sum(bits) / len(bits):.2f} bits"))
    last = found.lens[-1]
    return fill(
        "inspect.html",
        title=f"{name} · a look inside",
        name=name,
        about=about,
        predicts=found.predicts,
        tokens=[*map(shown, found.tokens)],
        source=[*map(shown, found.source)],
        bits=found.bits if bits else None,
        darkest=DARKEST,
        figures=figures,
        answers=[_cell(last[n]) if n in found.asked else None for n in range(len(last))],
        asked=bool(found.asked),
        target=_cell(found.target),
        position=found.position,
        saliency=shares([*found.source_saliency, *found.saliency]),
        lens=[[_cell(guess) for guess in layer] for layer in found.lens],
        stacks=[one.name for one in found.attention],
        layers=len(found.attention[0].weights),
        heads=found.attention[0].weights.shape[1],
        data=[_packed(one) for one in found.attention],
    )


def _packed(one: Attention) -> dict[str, Any]:
    """The attention of a stack as the script of the page reads it."""
    layers, heads, _, _ = one.weights.shape
    return {
        "rows": [*map(shown, one.rows)],
        "columns": [*map(shown, one.columns)],
        "layers": layers,
        "heads": heads,
        "causal": one.causal,
        "weights": packed(one.weights, one.causal),
        "rollout": None if one.rollout is None else packed(one.rollout, one.causal),
    }


def shown(piece: str) -> str:
    """The text of a token with everything in it visible."""
    text = piece.translate(VISIBLE)
    return "␣" * len(text) if text.isspace() else text


def packed(weights: Tensor, causal: bool) -> str:
    """Weights in [0, 1] as deflated bytes in base64, each in 255ths, row after row.

    Args:
        weights: […, R, C].
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
