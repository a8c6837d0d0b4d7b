"""What a small encoder–decoder learns to write of very little text, beside what needs no learning.

Translations and summaries of public corpora: verses of Genesis, a line each in French and in
Portuguese; questions of XQuAD in English and German; abstracts of Chinese papers and their titles.
A model of ours is trained to restore the training text of both sides (``launch/pretrain.py``), then
to write targets (``launch/fine_tune.py``), and is scored on records that it has not seen
(``launch/evaluate.py``). The peers are the source itself, and as many of its first characters as
targets have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from measure import Options, Row, Table

from dslm.metrics.written import Kind, written_scores
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.progress import Progress

LAUNCH = Path(__file__).resolve().parent.parent / "launch"
RESTORED, TAUGHT, BATCH = 200, 600, 32
"""Steps of restoring and of writing targets, and records of a step."""
TIMEOUT = 7200.0
"""Seconds after which a run is ended."""
MODEL = ["encoder_decoder_tiny", "model.width=64", "model.dropout=0.1", "log_interval=100"]
DEEPSPEED = {
    "train_micro_batch_size_per_gpu": BATCH,
    "gradient_clipping": 1.0,
    "steps_per_print": 10**9,
    "optimizer": {"type": "AdamW", "params": {"lr": 3e-3, "torch_adam": True, "fused": True}},
}
Pair = tuple[str, str]


@dataclass(frozen=True)
class Corpus:
    """Sources and targets."""

    claim: str
    kind: Kind
    tokens: int
    """The size of the vocabulary."""
    sequence: int
    read: Callable[[Path], tuple[list[Pair], list[Pair]]]
    """From a folder of corpora to the pairs to learn from and those to be scored on."""


def measure(options: Options) -> Table:
    """Train on each corpus, and compare."""
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = list[Row]()
    with Progress(len(CORPORA), " corpora", "learning") as progress:
        for corpus in CORPORA:
            with tempfile.TemporaryDirectory() as folder:
                rows += _rows(corpus, options.corpora, Path(folder))
            progress.advance()
    setting = (
        f"an encoder–decoder of 2 + 2 blocks of width 64; {RESTORED} steps of restoring spans of "
        f"the training text, {TAUGHT} of writing targets, {BATCH} records each; greedy; under "
        "“peer” the source as it is, and as many of its first characters as targets have"
    )
    return Table("Translations and summaries of little text", setting, rows)


def _rows(corpus: Corpus, corpora: Path, folder: Path) -> list[Row]:
    """A row for each metric of a corpus."""
    train, test = corpus.read(corpora)
    for name, pairs in (("train", train), ("test", test)):
        records = (json.dumps({"source": a, "target": b}) for a, b in pairs)
        (folder / f"{name}.jsonl").write_text("\n".join(records))
    (folder / "text.txt").write_text("\n\n".join(text for one in train for text in one))
    found = _trained(corpus, folder)
    sources, targets = [a for a, _ in test], [[b] for _, b in test]
    lead = round(mean(len(b) for _, b in train))
    copied, first = (
        written_scores(texts, targets, corpus.kind, None, 0)
        for texts in (sources, [source[:lead] for source in sources])
    )
    return [
        Row(
            f"{corpus.claim}: {name} of {len(test)}, learned from {len(train):,}",
            "—",
            f"{found[name]:.3g} ({found[f'{name}_95'][0]:.3g}–{found[f'{name}_95'][1]:.3g})",
            f"{copied[name].value:.3g}, {first[name].value:.3g}",
            "—",
        )
        for name in copied
    ]


def _trained(corpus: Corpus, folder: Path) -> dict[str, Any]:
    """What ``launch/evaluate.py`` says of a model of a corpus."""
    train_tokenizer([folder / "text.txt"], folder / "tokenizer", _tokenizer(corpus))
    shard([folder / "text.txt"], folder / "shards", ShardingConfig(folder / "tokenizer"))
    config = folder / "deepspeed.json"
    config.write_text(json.dumps(DEEPSPEED))
    shape, asked = f"model.sequence={corpus.sequence}", f"--deepspeed_config={config}"
    text, run = folder / "restoring", folder / "writing"
    start = ["objective.kind=denoising", f"data.train={folder / 'shards'}", f"run={text}"]
    _ran("pretrain", *MODEL, shape, *start, f"steps={RESTORED}", asked)
    more = [f"data.train={folder / 'train.jsonl'}", f"run={run}", f"steps={TAUGHT}"]
    more += [f"objective.text_to_text.metric={corpus.kind}", "log_interval=100"]
    _ran("fine_tune", str(text), "--task", "text_to_text", *more, asked)
    test = str(folder / "test.jsonl")
    found: dict[str, Any] = json.loads(
        _ran("evaluate", str(run), "--data", test, "--json").splitlines()[-1]
    )
    return found


def _tokenizer(corpus: Corpus) -> TokenizerConfig:
    return TokenizerConfig("unigram", corpus.tokens)


def _ran(name: str, *words: str) -> str:
    """What a launcher prints."""
    command = [sys.executable, str(LAUNCH / f"{name}.py"), *words]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
    if ended.returncode:
        raise RuntimeError(ended.stderr[-2000:])
    return ended.stdout


def _genesis(corpora: Path) -> tuple[list[Pair], list[Pair]]:
    """French and Portuguese verses, a line each; the last tenth is scored on."""
    with zipfile.ZipFile(corpora / "multilingual_small/genesis.zip") as archive:
        french, portuguese = (
            archive.read(f"genesis/{name}.txt").decode(encoding).splitlines()
            for name, encoding in (("french", "latin-1"), ("portuguese", "utf-8"))
        )
    return _cut([*zip(french, portuguese, strict=True)])


def _questions(corpora: Path) -> tuple[list[Pair], list[Pair]]:
    """Questions of XQuAD, by their ids; those on the last articles are scored on."""
    english, german = (
        {
            question["id"]: question["question"]
            for article in json.loads((corpora / f"xquad/xquad.{name}.json").read_text())["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        }
        for name in ("en", "de")
    )
    return _cut([(text, german[number]) for number, text in english.items()])


def _titles(corpora: Path) -> tuple[list[Pair], list[Pair]]:
    """Abstracts and their titles; what CSL calls dev is learned from."""
    train, test = (
        [
            (source, target)
            for line in (corpora / f"csl_zh/ts/{name}.tsv").read_text().splitlines()
            for _, source, target in [line.split("\t")]
        ]
        for name in ("dev", "test")
    )
    return train, test


def _cut(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    kept = [(a.strip(), b.strip()) for a, b in pairs]
    kept = [pair for pair in kept if all(pair)]
    first = 9 * len(kept) // 10
    return kept[:first], kept[first:]


CORPORA = (
    Corpus("Genesis, French to Portuguese", "translation", 2000, 128, _genesis),
    Corpus("XQuAD's questions, English to German", "translation", 2000, 64, _questions),
    Corpus("CSL's abstracts to titles", "summary", 4000, 256, _titles),
)
