"""Fine-tuning by dslm against a Trainer of transformers: scores, and the time of a step.

Both begin with the same pretrained weights, ours as a run and the Trainer's exported, and share
data, batch, peak rate, warm-up, decay, dropout, clipping and steps; ours is run by
``launch/fine_tune.py`` and scored by what ``launch/evaluate.py`` predicts. For every seed and
corpus they run one behind the other. A step is timed in each one's own loop without its first ones,
by the clock and in processor time, which other work on the machine changes less.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from labelled import CORPORA, Labelled, Records, write
from measure import Options, Row, Table
from pretrained import ROOT, command, deepspeed, environment, exported, pretrained

from dslm.errors import Problem, SetupError
from dslm.progress import Progress
from dslm.shards.shard_set import ShardSet

SEEDS = 3
SEQUENCE, DROPOUT, DECAY = 128, 0.1, 0.01
LOG = 50
"""Steps between two lines of either's log; from the first line on a step is timed."""
SAME = 1e-3
"""Share of the tokens of training that may differ: of a long text one cuts words, one pieces."""
PEER = Path(__file__).resolve().parent / "trainer_script.py"
Result = dict[str, float]
"""``score``, ``clock`` and ``processor`` seconds of a step, and those of the whole command."""


def measure(options: Options) -> Table:
    """Fine-tune on every corpus with every seed, both in turns."""
    _check()
    found: dict[str, list[tuple[Result, Result]]] = {name: [] for name in CORPORA}
    grouping: dict[str, Result] = {}
    turns = [(seed, name) for seed in range(SEEDS) for name in CORPORA]
    with kept(options) as folder, Progress(2 * len(turns), " runs", "fine-tuning") as progress:
        for seed, name in turns:
            pair = []
            for program in (ours, peer)[:: -1 if seed % 2 else 1]:
                pair.append(_once(program, name, seed, options.corpora, folder))
                progress.advance()
            found[name].append((pair[0], pair[1]) if seed % 2 == 0 else (pair[1], pair[0]))
            if seed == 0:
                grouping[name] = _once(grouping_peer, name, seed, options.corpora, folder)
    setting = (
        "BERT of 2 layers of width 128, pretrained for minutes on novels (7.4 M tokens) or Chinese "
        "abstracts (8.2 M), one rank and thread, "
        f"{SEEDS} seeds, mean ± standard deviation; accuracy of classes, F1 of entities (seqeval); "
        "the peer is transformers' Trainer with fused AdamW on the exported weights; the ratio of "
        "scores is their difference in standard deviations"
    )
    return Table("Fine-tuning against transformers' Trainer", setting, _rows(found, grouping))


def _check() -> None:
    needed = {"accelerate": "transformers' Trainer", "seqeval": "the score of entities"}
    missing = [name for name in needed if find_spec(name) is None]
    problems = [
        Problem(name, None, f"is needed by {needed[name]}", f"pip install {name}")
        for name in missing
    ]
    if problems:
        raise SetupError(*problems)


@contextmanager
def kept(options: Options) -> Iterator[Path]:
    """The folder of what takes long to make, the user's or one that goes away."""
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def _once(
    program: Callable[..., Result], name: str, seed: int, corpora: Path, folder: Path
) -> Result:
    """What a program measures, unless it has been measured before."""
    there = folder / "results" / f"{name}-{seed}-{program.__name__}.json"
    if not there.exists():
        there.parent.mkdir(exist_ok=True)
        corpus = CORPORA[name]
        model = pretrained("chinese" if corpus.chinese else "english", corpora, folder)
        train, test = corpus.split(corpora)
        with tempfile.TemporaryDirectory() as made:
            place, steps = Path(made), corpus.steps(len(train))
            files = [write(train, place / "train.jsonl"), write(test, place / "test.jsonl")]
            found = program(corpus, model, files, seed, steps, place)
        there.write_text(json.dumps(found), encoding="utf-8")
    result: Result = json.loads(there.read_text(encoding="utf-8"))
    return result


def ours(
    corpus: Labelled, model: Path, files: Sequence[Path], seed: int, steps: int, place: Path
) -> Result:
    """By ``launch/fine_tune.py`` and ``launch/evaluate.py``."""
    run, predictions = place / "run", place / "predictions.jsonl"
    began = time.perf_counter()
    processor = timed_run(
        fine_tune_words(corpus, model, files[0], seed, steps, run), run / "metrics.jsonl", steps
    )
    whole = time.perf_counter() - began
    evaluate = ROOT / "launch" / "evaluate.py"
    command([evaluate, run, "--data", files[1], "--predictions", predictions])
    lines = [line for line in _lines(run / "metrics.jsonl") if "loss" in line]
    clock = (lines[-1]["seconds"] - lines[0]["seconds"]) / (steps - LOG)
    found = [one["predicted"] for one in _lines(predictions)]
    tokens = ShardSet.open(run / "examples" / "train").tokens
    scored = {"score": score(corpus.task, _lines(files[1]), found), "tokens": tokens}
    return {**scored, "clock": clock, "processor": processor, "whole": whole}


def fine_tune_words(
    corpus: Labelled, model: Path, train: Path, seed: int, steps: int, run: Path
) -> list[str | Path]:
    """The command that fine-tunes a run."""
    run.parent.mkdir(parents=True, exist_ok=True)
    config = run.with_name("deepspeed.json")
    deepspeed(config, corpus.batch, corpus.rate, betas=[0.9, 0.999], weight_decay=DECAY)
    words = [f"data.train={train}", f"run={run}", f"steps={steps}", f"seed={seed}"]
    words += [f"schedule.warmup_steps={steps // 10}", "schedule.kind=linear"]
    words += [f"model.dropout={DROPOUT}", f"log_interval={LOG}", f"checkpoint_interval={steps}"]
    script, rest = ROOT / "launch" / "fine_tune.py", ["--deepspeed_config", config]
    return [script, model, "--task", corpus.task, *words, *rest]


def timed_run(words: Sequence[str | Path], metrics: Path, steps: int) -> float:
    """Run to the end; processor seconds of a step from the first line of metrics to the last."""
    import psutil

    marks: dict[int, float] = {}
    log = metrics.parent.with_suffix(".log")
    with log.open("w", encoding="utf-8") as output:
        started = [sys.executable, *map(str, words)]
        process = psutil.Popen(started, env=environment(), stdout=output, stderr=output)
        while process.poll() is None:
            used = process.cpu_times() if process.is_running() else None
            done = [line["step"] for line in _lines(metrics) if "loss" in line]
            if used is not None and done:
                marks.setdefault(done[-1], used.user + used.system)
            time.sleep(0.05)
    if process.returncode or set(marks) < {LOG, steps}:
        raise RuntimeError(log.read_text(encoding="utf-8")[-3000:])
    return (marks[steps] - marks[LOG]) / (steps - LOG)


def peer(
    corpus: Labelled,
    model: Path,
    files: Sequence[Path],
    seed: int,
    steps: int,
    place: Path,
    sampling: str = "random",
) -> Result:
    """By a Trainer, in a process of its own."""
    what = {
        "task": corpus.task,
        "model": str(exported(model)),
        "train": str(files[0]),
        "test": str(files[1]),
        "seed": seed,
        "steps": steps,
        "batch": corpus.batch,
        "rate": corpus.rate,
        "warmup": steps // 10,
        "decay": DECAY,
        "dropout": DROPOUT,
        "log": LOG,
        "sampling": sampling,
        "sequence": SEQUENCE,
    }
    specification = write([what], place / "specification.json")
    began = time.perf_counter()
    command([PEER, specification])
    whole = time.perf_counter() - began
    found = json.loads((place / "predicted.json").read_text(encoding="utf-8"))
    measured: Result = json.loads((place / "measured.json").read_text(encoding="utf-8"))
    return {"score": score(corpus.task, _lines(files[1]), found), "whole": whole, **measured}


def grouping_peer(*given: Any) -> Result:
    """By a Trainer that also makes batches of examples about equally long."""
    return peer(*given, sampling="group_by_length")


def score(task: str, records: Records, found: Sequence[Any]) -> float:
    """The share of right classes, or F1 of entities; words that were not read have none."""
    if task == "classification":
        return mean(one["label"] == label for one, label in zip(records, found, strict=True))
    from seqeval.metrics import f1_score

    gold = [one["tags"] for one in records]
    whole = [
        [*tags, *["O"] * (len(own) - len(tags))] for own, tags in zip(gold, found, strict=True)
    ]
    return float(f1_score(gold, whole))


def _rows(found: dict[str, list[tuple[Result, Result]]], grouping: dict[str, Result]) -> list[Row]:
    rows = []
    for name, pairs in found.items():
        if any(abs(own["tokens"] / other["tokens"] - 1) > SAME for own, other in pairs):
            raise RuntimeError(f"{name}: the two were not given the same examples: {pairs}")
        scores = [[one["score"] for one in side] for side in zip(*pairs, strict=True)]
        spread = mean(map(stdev, scores)) or 1e-9
        apart = abs(mean(scores[0]) - mean(scores[1])) / spread
        shown = [f"{100 * mean(side):.1f} ± {100 * stdev(side):.1f} %" for side in scores]
        rows.append(Row(f"{name}: score", "≤ 1.00 sd", *shown, f"{apart:.2f} sd"))
        rows.append(times(f"{name}: a step, processor time", "≤ 0.77×", "processor", pairs))
        claim = f"{name}: the same, the Trainer grouping by length too (a seed)"
        rows.append(times(claim, "—", "processor", [(pairs[0][0], grouping[name])]))
        rows.append(times(f"{name}: a step by the clock", "—", "clock", pairs))
    return rows


def times(claim: str, wanted: str, key: str, pairs: Sequence[tuple[Result, Result]]) -> Row:
    """How long a step takes, or a whole command; the medians, and that of the ratios."""
    sides = [median(one[key] for one in side) for side in zip(*pairs, strict=True)]
    shown = [f"{value:.0f} s" if key == "whole" else f"{1e3 * value:.1f} ms" for value in sides]
    ratio = median(own[key] / other[key] for own, other in pairs)
    return Row(claim, wanted, *shown, f"{ratio:.2f}×")


def _lines(path: Path) -> Records:
    """The whole lines of a file of JSON lines; none before there is one."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
