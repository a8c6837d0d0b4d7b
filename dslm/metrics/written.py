"""Texts that were written, measured by what they are: translations, summaries, or anything else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from dslm.metrics.bootstrap import Estimate, Records, estimate
from dslm.metrics.overlap import Split, characters, exact_match, rouge, words
from dslm.metrics.records import check
from dslm.metrics.translation import Translations, bleu, chrf

Kind = Literal["translation", "summary", "exact"]
OF_KIND: dict[str | None, tuple[str, ...]] = {
    "translation": ("bleu", "chrf"),
    "summary": ("rouge1", "rouge2", "rougeL"),
    "exact": ("exact_match",),
    None: ("exact_match", "chrf", "rougeL"),
}
"""The metrics of each kind, the most telling one first."""
HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
KANA = re.compile("[\u3040-\u30ff]")
LETTER = re.compile(r"[^\W\d_]")


def written_scores(
    written: Sequence[str],
    targets: Sequence[Sequence[str]],
    kind: Kind | None,
    by_characters: bool | None,
    seed: int,
    resamples: int = 1000,
) -> dict[str, Estimate]:
    """The metrics of a kind of text, each with its interval.

    BLEU and chrF are in [0, 100], the others in [0, 1].

    Args:
        written: N texts.
        targets: the right ones of each, one or more; that counts which gives most, but for BLEU and
            chrF, which have a rule for several.
        kind: what the texts are; `None` for anything.
        by_characters: whether ROUGE and BLEU take characters for words; `None` = where most
            letters of the targets are Chinese or Japanese.
        seed: of the bootstrap.
        resamples: of the bootstrap; 0 for metrics without intervals.

    Raises:
        DataError: no text, or one without a target.
    """
    check(targets, written)
    han, kana, letters = (_count(one, targets) for one in (HAN, KANA, LETTER))
    unspaced = 2 * (han + kana) > letters if by_characters is None else by_characters
    names, found = OF_KIND[kind], dict[str, Estimate]()
    if "bleu" in names:
        tokenizer = ("char" if kana or not han else "zh") if unspaced else "13a"
        found["bleu"] = _of_all(bleu(written, targets, tokenizer), seed, resamples)
    if "chrf" in names:
        found["chrf"] = _of_all(chrf(written, targets), seed, resamples)
    if own := [name for name in names if name not in found]:
        split = characters if unspaced else words
        pairs = zip(written, targets, strict=True)
        rows = np.array([_best(text, right, own, split) for text, right in pairs])
        means = (estimate(column, _mean, seed, resamples) for column in rows.T)
        found |= dict(zip(own, means, strict=True))
    return {name: found[name] for name in names}


def _best(text: str, targets: Sequence[str], names: Sequence[str], split: Split) -> list[float]:
    """Metrics of one text, each by the target that gives most."""
    rows = []
    for target in targets:
        overlaps = rouge(text, target, split) if names != ["exact_match"] else {}
        values = {name: one.f1 for name, one in overlaps.items()}
        values["exact_match"] = exact_match(text, target)
        rows.append([values[name] for name in names])
    return [*map(max, zip(*rows, strict=True))]


def _of_all(found: Translations, seed: int, resamples: int) -> Estimate:
    value = estimate(found.statistics, found.score, seed, resamples)
    return value._replace(signature=found.signature)


def _mean(rows: Records) -> float:
    return float(rows.mean())


def _count(letters: re.Pattern[str], targets: Sequence[Sequence[str]]) -> int:
    """How many of some letters targets have."""
    return sum(len(letters.findall(text)) for right in targets for text in right)
