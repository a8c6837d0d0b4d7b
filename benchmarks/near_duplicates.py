"""Near duplicates planted among passages of novels: what is found, and what is found wrongly."""

from __future__ import annotations

import random

import numpy as np
from measure import Options, Row, Table

from dslm.preprocess.deduplicate.decide import STAYS, Part, decide_near
from dslm.preprocess.deduplicate.divided import Range, divide
from dslm.preprocess.deduplicate.match import match
from dslm.preprocess.deduplicate.near import Likeness
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.shingles import shingles, similarity
from dslm.preprocess.deduplicate.signatures import Signatures, signatures

WORDS = (150, 1200)
"""The shortest and the longest passage."""
MOST_EDITED = 0.2
"""Share of words that the most edited copy has changed."""
SLIGHTLY = 0.025
"""And a copy of the other half, among which those of high similarity are."""
BATCH = 500


def measure(options: Options) -> Table:
    """Plant an edited copy of every passage and look for it."""
    draw, settings = random.Random(0), Duplicates(near=True)
    passages = _passages(options, draw)
    vocabulary = sorted({word for passage in passages for word in passage})
    copies = [_edited(p, vocabulary, draw, draw.choice((MOST_EDITED, SLIGHTLY))) for p in passages]
    texts = [" ".join(words) for words in [*passages, *copies]]
    parts = [signatures(texts[at : at + BATCH], settings) for at in range(0, len(texts), BATCH)]
    signed = divide(Signatures.concatenate(parts), 1)
    found = [match(Range([signed], 0, 1), 0)]
    like = Likeness(lambda n: shingles(texts[n], settings), settings.threshold)
    reasons = np.full(len(texts), STAYS, np.uint8)
    part = Part(0, len(texts), 0)
    decide_near(part, found, reasons, like, lambda _: found[0].before, lambda _: None)
    gone = reasons != STAYS
    sets = [shingles(text, settings) for text in texts]
    half = len(passages)
    similar = np.array([similarity(sets[n], sets[n + half]) for n in range(half)])
    found, true = gone[half:], similar >= settings.threshold
    recall, precision = found[true].mean(), (found & true).sum() / gone.sum()
    theory = (1 - (1 - similar[true] ** settings.rows) ** settings.bands).mean()
    rows = [
        Row("recall at Jaccard ≥ 0.8", "≥ 0.95", f"{recall:.3f}", f"theory {theory:.3f}"),
        Row("precision", "≥ 0.99", f"{precision:.3f}"),
    ]
    setting = (
        f"{half:,} passages of novels and an edited copy of each (1–20 % of the words replaced, "
        f"inserted or deleted), {true.sum():,} of them at 0.8 or more; 5 words a shingle, 14 bands "
        "of 8 rows; candidates proven by their true similarity"
    )
    return Table("Near duplicates", setting, rows)


def _passages(options: Options, draw: random.Random) -> list[list[str]]:
    """Runs of words that do not overlap."""
    found = []
    for path in sorted((options.corpora / "english_novels").glob("*_*_*.txt")):
        words, at = path.read_text(encoding="utf-8-sig", errors="replace").split(), 0
        while at + WORDS[1] < min(len(words), 40_000):
            size = draw.randint(*WORDS)
            found.append(words[at : at + size])
            at += size
    return found


def _edited(words: list[str], vocabulary: list[str], draw: random.Random, most: float) -> list[str]:
    rate, edited = draw.uniform(0.01, most), []
    for word in words:
        if draw.random() >= rate:
            edited.append(word)
        elif (way := draw.randrange(3)) != 0:  # 0 deletes
            edited += [draw.choice(vocabulary), *([word] if way == 1 else [])]
    return edited
