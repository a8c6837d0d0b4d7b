"""What lowers the loss at equal tokens: each switch of ``gpt2_small_fast`` alone, all but one, all.

Every run is ``launch/pretrain.py`` with a model of 4 layers of width 128, which reads the same
samples in the same order. The final loss of each kind on held-out text is set beside that of plain
AdamW; the ratio is the share of the tokens after which its curve has come to that loss. A last kind
has all switches and a schedule of `SHORT` of the tokens: its ratio is that of the final losses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from fine_tuning import kept
from measure import Options, Row, Table
from pretrained import ROOT, command, deepspeed

from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.progress import Progress

SEEDS = 3
STEPS, WARM_UP, POINTS = 2000, 100, 20
"""Steps of a run, how many of them warm up, and how often the loss is measured."""
SHORT = 0.6
BATCH, RATE = 12, 1e-3
"""Of nanoGPT's character model, whose shape the preset has."""
MUON = {"muon_lr": 0.02, "adam_lr": RATE, "momentum": 0.95, "weight_decay": 0.1}
SWITCHES: dict[str, list[str]] = {
    "Muon": [],
    "qk_norm": ["model.qk_norm=true"],
    "relu2": ["model.activation=relu2"],
    "zero_output": ["model.zero_output=true"],
    "untied head": ["model.tied=false"],
    "warm-up-stable-decay": ["schedule.kind=warmup_stable_decay", "schedule.minimum=0.0"],
}
NOVELS, PART, PIECES = "english_novels/*_*.txt", 40_000, 2000
"""What is read of each novel in characters; one of ten is held out."""


@dataclass(frozen=True)
class Kind:
    """How a model is trained."""

    name: str
    switches: tuple[str, ...] = ()
    rate: float = RATE
    share: float = 1.0
    """Of the steps."""
    wanted: str = "—"

    @property
    def steps(self) -> int:
        """Of a run."""
        return round(self.share * STEPS)


@dataclass(frozen=True)
class Curve:
    """What a run came to."""

    losses: Mapping[int, float]
    """On held-out text, by step."""

    @property
    def final(self) -> float:
        """The last."""
        return self.losses[max(self.losses)]

    def reached(self, loss: float) -> float | None:
        """The share of `STEPS` after which it had come to a loss, if it had."""
        steps = [step for step, found in self.losses.items() if found <= loss]
        return min(steps) / STEPS if steps else None


def kinds() -> Iterator[Kind]:
    """All that are compared, plain AdamW first."""
    every = tuple(SWITCHES)
    yield Kind("plain AdamW")
    for times in (2, 4):
        yield Kind(f"plain AdamW, {times} × the rate", rate=times * RATE)
    for one in every:
        yield Kind(one, (one,))
    for one in every:
        yield Kind(f"all but {one}", tuple(other for other in every if other != one))
    yield Kind("all", every, wanted=f"≤ {SHORT:.2f}×")
    yield Kind(f"all, in {SHORT:.0%} of the tokens", every, share=SHORT, wanted="≤ 1.00×")


def measure(options: Options) -> Table:
    """Train every kind with every seed on both texts."""
    rows: list[Row] = []
    chosen = list(kinds())
    total = 2 * SEEDS * len(chosen)
    with kept(options) as folder, Progress(total, " runs", "learning") as progress:
        for text, make in {"tinyshakespeare": _shakespeare, "novels": _novels}.items():
            if not (folder / text / "tokenizer").is_dir():
                make(options.corpora, folder / text)
            curves: dict[Kind, list[Curve]] = {kind: [] for kind in chosen}
            for seed in range(SEEDS):
                for kind in chosen:
                    curves[kind].append(_trained(folder / text, kind, seed))
                    progress.advance()
            plain = curves[chosen[0]]
            rows += [_row(text, kind, found, plain) for kind, found in curves.items()]
    setting = (
        f"4 layers of width 128, {BATCH} × 64 tokens a step, {STEPS} steps, cosine unless said, "
        f"clipped at 1; characters of tinyshakespeare, {PIECES:,} pieces of novels; loss on all "
        f"held-out text, {SEEDS} seeds, mean ± standard deviation; beside it plain AdamW's; the "
        f"ratio is the share of the tokens to its final loss, read from {POINTS} measurements"
    )
    return Table("What differs in speed of learning", setting, rows)


def _trained(folder: Path, kind: Kind, seed: int) -> Curve:
    """The curve of a run, which is made where there is none yet."""
    name = f"{kind.name}-{seed}".replace(" ", "-").replace(",", "").replace("%", "")
    run = folder / name
    if not (run / "checkpoints" / f"step-{kind.steps:08d}").is_dir():
        config = deepspeed(folder / f"{name}.json", BATCH, kind.rate, **_adamw())
        if "Muon" in kind.switches:
            config.write_text(json.dumps(json.loads(config.read_text()) | {"optimizer": _muon()}))
        words = [f"data.{one}={folder / one}" for one in ("train", "validation")]
        words += ["data.validation_windows=1000000", f"seed={seed}", f"steps={kind.steps}"]
        words += [f"schedule.warmup_steps={min(WARM_UP, kind.steps // 10)}", f"run={run}"]
        words += [f"evaluation_interval={STEPS // POINTS}", f"checkpoint_interval={kind.steps}"]
        words += [word for switch in kind.switches for word in SWITCHES[switch]]
        script = ROOT / "launch" / "pretrain.py"
        command([script, "shakespeare_char", *words, "--deepspeed_config", config])
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return Curve({line["step"]: line[LOSS] for line in lines if LOSS in line})


LOSS = "validation_loss"


def _adamw() -> dict[str, Any]:
    return {"betas": [0.9, 0.99], "weight_decay": 0.1}


def _muon() -> dict[str, Any]:
    return {"type": "Muon", "params": {**MUON, "betas": [0.9, 0.99], "torch_adam": True}}


def _row(text: str, kind: Kind, found: list[Curve], plain: list[Curve]) -> Row:
    if kind.share < 1:
        ratio = f"{mean(a.final / b.final for a, b in zip(found, plain, strict=True)):.2f}×"
    else:
        reached = [a.reached(b.final) for a, b in zip(found, plain, strict=True)]
        known = [share for share in reached if share is not None]
        ratio = f"{mean(known):.2f}×" if len(known) == len(reached) else "not reached"
    return Row(f"{text}: {kind.name}", kind.wanted, _losses(found), _losses(plain), ratio)


def _losses(found: list[Curve]) -> str:
    finals = [curve.final for curve in found]
    spread = f" ± {stdev(finals):.3f}" if len(finals) > 1 else ""
    return f"{mean(finals):.3f}{spread}"


def _shakespeare(corpora: Path, folder: Path) -> None:
    """As nanoGPT divides it: the last tenth is held out."""
    text = (corpora / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    border = int(0.9 * len(text))
    parts = {"train": [text[:border]], "validation": [text[border:]]}
    _sharded(folder, parts, TokenizerConfig("char", None), of=("train", "validation"))


def _novels(corpora: Path, folder: Path) -> None:
    parts: dict[str, list[str]] = {"train": [], "validation": []}
    for number, novel in enumerate(sorted(corpora.glob(NOVELS))):
        text = novel.read_text(encoding="utf-8-sig", errors="replace")
        parts["train" if number % 10 else "validation"].append(text[:PART])
    _sharded(folder, parts, TokenizerConfig("unigram", PIECES), of=("train",))


def _sharded(
    folder: Path, parts: Mapping[str, list[str]], settings: TokenizerConfig, of: tuple[str, ...]
) -> None:
    """Write texts as files and shards; the tokenizer is learned from some of them."""
    files: dict[str, list[Path]] = {name: [] for name in parts}
    for name, texts in parts.items():
        (folder / "text").mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts):
            files[name].append(folder / "text" / f"{name}-{number:02d}.txt")
            files[name][-1].write_text(text, encoding="utf-8")
    train_tokenizer([file for name in of for file in files[name]], folder / "tokenizer", settings)
    for name, found in files.items():
        shard(found, folder / name, ShardingConfig(folder / "tokenizer"))
