"""Sentences of films in ten folds: a small BERT from scratch, pretrained on novels, and TF-IDF.

Accuracy of the polarity and the subjectivity of sentences (Pang & Lee 2004, 2005), each fold the
test of a model that has learned from the others; the peer is logistic regression on TF-IDF of words
and pairs of words (scikit-learn), on the same folds.
"""

from __future__ import annotations

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, stdev

from fine_tuning import fine_tune_words, kept
from labelled import (
    FOLDS,
    POLARITY,
    SUBJECTIVITY,
    Labelled,
    Records,
    fold,
    polarity,
    sentences,
    write,
)
from measure import Options, Row, Table
from pretrained import command, pretrained, rescaled, tokens

from dslm.errors import Problem, SetupError
from dslm.progress import Progress, counted

CORPORA = {"polarity": POLARITY, "subjectivity": SUBJECTIVITY}
STARTS = {"from scratch": "scratch", "pretrained": "longer"}
SEEDS = 1
PEER = "tf-idf"
LEARNING = Labelled("classification", polarity)
Scores = dict[str, list[float]]
"""The accuracy on a fold by what was trained, one for each seed."""


def measure(options: Options) -> Table:
    """Train and test on every fold."""
    if find_spec("sklearn") is None:
        fix = "pip install scikit-learn"
        raise SetupError(Problem("sklearn", None, "is needed for TF-IDF", fix))
    found: dict[str, list[Scores]] = {name: [] for name in CORPORA}
    with kept(options) as folder, Progress(FOLDS * len(CORPORA), " folds", "folds") as progress:
        for number in range(FOLDS):
            for name in CORPORA:
                scores = {
                    what: [
                        fold_score(name, number, what, seed, options.corpora, folder)
                        for seed in range(SEEDS if what in STARTS else 1)
                    ]
                    for what in (PEER, *STARTS)
                }
                found[name].append(scores)
                progress.advance()
    return table(found)


def table(found: dict[str, list[Scores]]) -> Table:
    """What the folds come to."""
    steps = LEARNING.steps(len(fold([{}] * 10_000, 0)[0]))
    setting = (
        f"BERT of 2 layers of width 128, pretrained on {tokens(STARTS['pretrained'])} tokens of "
        "novels, its embeddings scaled back to how much they deviated at first, or not; about "
        f"{steps} steps of {LEARNING.batch} sentences, {counted(SEEDS, 'seed')}; mean ± standard "
        f"deviation over {FOLDS} folds of the mean over the seeds; the peer is logistic regression "
        "on TF-IDF (words and pairs of them), the ratio the difference"
    )
    rows = []
    for name, folds in found.items():
        means = [{what: mean(scores) for what, scores in one.items()} for one in folds]
        for start in STARTS:
            apart = mean(one[start] - one[PEER] for one in means)
            wanted = "> 0.0 points" if start == "pretrained" else "—"
            shown = [_shown([one[key] for one in means]) for key in (start, PEER)]
            rows.append(Row(f"{name}, {start}", wanted, *shown, f"{100 * apart:.1f} points"))
        gain = mean(one["pretrained"] - one["from scratch"] for one in means)
        claim = f"{name}, what pretraining gains"
        rows.append(Row(claim, "> 0.0 points", f"{100 * gain:.1f} points"))
    return Table("Sentences of films in ten folds", setting, rows)


def fold_score(name: str, number: int, what: str, seed: int, corpora: Path, folder: Path) -> float:
    """The accuracy of one of them on a fold, unless it has been measured before."""
    there = folder / "results" / f"{name}-{what.replace(' ', '-')}-fold-{number}-{seed}.json"
    if not there.exists():
        there.parent.mkdir(exist_ok=True)
        train, test = fold(sentences(corpora, *CORPORA[name]), number)
        if what == PEER:
            found = tf_idf(train, test)
        else:
            run = pretrained(STARTS[what], corpora, folder)
            run = rescaled(run) if what == "pretrained" else run
            found = fine_tuned(run, train, test, seed)
        there.write_text(json.dumps(found), encoding="utf-8")
    return float(json.loads(there.read_text(encoding="utf-8")))


def fine_tuned(model: Path, train: Records, test: Records, seed: int) -> float:
    """Accuracy of a fine-tuned model, measured by its run at the end."""
    with tempfile.TemporaryDirectory() as name:
        place, steps = Path(name), LEARNING.steps(len(train))
        files = [write(train, place / "train.jsonl"), write(test, place / "test.jsonl")]
        words = fine_tune_words(LEARNING, model, files[0], seed, steps, place / "run")
        words += [f"data.validation={files[1]}", f"data.validation_windows={len(test)}"]
        command([*words, f"evaluation_interval={steps}"])
        lines = (place / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        measured = [json.loads(line) for line in lines if "validation_accuracy" in line]
    return float(measured[-1]["validation_accuracy"])


def tf_idf(train: Records, test: Records) -> float:
    """Accuracy of logistic regression on TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    model = make_pipeline(words, LogisticRegression(C=10, max_iter=1000))
    sides = [
        ([one["text"] for one in part], [one["label"] for one in part]) for part in (train, test)
    ]
    model.fit(*sides[0])
    return float(model.score(*sides[1]))


def _shown(shares: list[float]) -> str:
    spread = f" ± {100 * stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * mean(shares):.1f}{spread} %"
