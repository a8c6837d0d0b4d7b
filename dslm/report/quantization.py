"""What rounding to few bits costs, from `quantization.json`: a sentence, a table and bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dslm.errors import DataError, Problem
from dslm.progress import human

NAMES = {
    "float": "float",
    "nearest": "rounded after training",
    "calibrated": "rounded after training, calibrated",
    "trained": "trained rounded",
}
HEAD = ("model", "loss", "change", "perplexity", "rounded layers", "all weights", "tokens/s")


@dataclass(frozen=True)
class Section:
    """What is shown of it."""

    verdict: str
    rows: Sequence[Sequence[str]]
    """The table, its head first."""
    bars: Sequence[tuple[str, str, str]]
    """Of each layer its name, the width in percent and the caption; the longest is full."""
    measured: str
    """What the bars are."""


def section(found: Mapping[str, Any]) -> Section:
    """What to show of the content of `quantization.json`.

    Raises:
        DataError: it is of another form.
    """
    try:
        return _section(found)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        fix = "run dslm quantization again"
        raise DataError(Problem("quantization.json", None, "is of another form", fix)) from error


def _section(found: Mapping[str, Any]) -> Section:
    measured = (
        f"By how much the loss rises when a single layer is rounded, on "
        f"{found['sensitivity_rows']:,} rows of {found['data']}."
    )
    return Section(verdict(found), [HEAD, *_rows(found)], bars(found["sensitivity"]), measured)


def verdict(found: Mapping[str, Any]) -> str:
    """The comparison in a sentence or two."""
    losses = {model["kind"]: model["loss"] for model in found["models"]}
    added = {kind: loss - losses["float"] for kind, loss in losses.items()}
    lost, left = added["nearest"], added.get("trained")
    said = f"Rounded to {found['scheme']} after training, the loss is {_away(lost)} that of floats"
    if "calibrated" in added:
        said += f", with calibration {_away(added['calibrated'])} it"
    if left is not None:
        said += f". Trained rounded, it is {_away(left)} it"
        if left < lost and lost > 0:
            share = "all" if left <= 0 else f"{100 * (1 - left / lost):.0f} %"
            said += f": training for few bits recovers {share} of what rounding loses"
    return f"{said}."


def _away(added: float) -> str:
    return f"{abs(added):.4f} {'above' if added >= 0 else 'below'}"


def _rows(found: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    floats = found["models"][0]["loss"]
    for model in found["models"]:
        perplexity = model["perplexity"]
        yield (
            NAMES[model["kind"]],
            f"{model['loss']:.4f}",
            f"{model['loss'] - floats:+.4f}",
            "" if perplexity is None else f"{perplexity:.3f}",
            f"{human(model['map_bytes'])}B",
            f"{human(model['bytes'])}B",
            human(model["tokens_per_second"]),
        )


def bars(sensitivity: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """A bar for each layer; one whose rounding does no harm has none."""
    most = max([*sensitivity.values(), 0.0]) or 1.0
    return [
        (name, f"{100 * max(change, 0.0) / most:.1f}", f"{change:+.5f}")
        for name, change in sensitivity.items()
    ]
