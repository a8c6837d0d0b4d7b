"""Small BERTs to fine-tune: pretrained on English novels or Chinese abstracts, or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labelled import abstracts

ROOT = Path(__file__).resolve().parent.parent
NOVELS, VOCABULARY = "english_novels/*_*.txt", "tokenizers_real/bert-base-uncased/vocab.txt"
STEPS = {"english": 1800, "longer": 9000, "chinese": 2000, "scratch": 1}
BATCH, WARM_UP, SEQUENCE = 32, 100, 128
TIMEOUT = 4 * 3600.0
"""Seconds after which a command is ended."""
DSLM = "import sys; from dslm.commands.main import main; sys.exit(main())"
EMBEDDINGS, DEVIATION = "bert.embeddings", 0.02
"""What the names of embeddings begin with, and how much these deviate before any training."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def pretrained(name: str, corpora: Path, folder: Path) -> Path:
    """The folder of a run of the preset ``bert_tiny``, made when it is not there.

    Args:
        name: english, chinese, longer: English for five times as many steps, or scratch: English
            weights as they are drawn.
        corpora: the folder of corpora.
        folder: what has been made is kept there.
    """
    run = folder / name
    if not (run / "checkpoints" / f"step-{STEPS[name]:08d}").is_dir():
        shards = _shards(name == "chinese", corpora, folder)
        rate = 1e-12 if name == "scratch" else 1.5e-3
        words = [f"data.train={shards / 'train'}", f"run={run}", f"steps={STEPS[name]}"]
        words += [f"schedule.warmup_steps={min(WARM_UP, STEPS[name] - 1)}", "log_interval=50"]
        config = deepspeed(folder / f"{name}.json", BATCH, rate, betas=[0.9, 0.98], eps=1e-6)
        script = ROOT / "launch" / "pretrain.py"
        command([script, "bert_tiny", *words, "--deepspeed_config", config])
    return run


def rescaled(run: Path) -> Path:
    """A run with the same model, whose embeddings deviate as little as they did at the beginning.

    The norm behind their sum makes up for it, so that nothing is computed otherwise. But steps of
    Adam have a size of their own, and move small embeddings further in proportion: those of a long
    training at a high rate have grown twelvefold.
    """
    target = run.with_name(f"{run.name}-rescaled")
    if not target.is_dir():
        from safetensors.torch import load_file, save_file

        folder = exported(run)
        weights = load_file(folder / "model.safetensors")
        factor = DEVIATION / float(weights[f"{EMBEDDINGS}.word_embeddings.weight"].std())
        for name in (n for n in weights if n.startswith(EMBEDDINGS) and "LayerNorm" not in n):
            weights[name] = weights[name] * factor
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        command(["-c", DSLM, "hub", "import", folder, target])
    return target


def tokens(name: str) -> str:
    """How many tokens a run has learned from, for people."""
    return f"{STEPS[name] * BATCH * SEQUENCE / 1e6:.1f} M"


def exported(run: Path) -> Path:
    """The same weights as transformers loads them."""
    target = run.with_name(f"{run.name}-exported")
    if not target.is_dir():
        command(["-c", DSLM, "hub", "export", run, target])
    return target


def deepspeed(path: Path, batch: int, rate: float, **more: Any) -> Path:
    """Write DeepSpeed's JSON for one rank without ZeRO, with fused AdamW and clipping at 1."""
    values = {"lr": rate, "weight_decay": 0.01, "torch_adam": True, "fused": True, **more}
    config = {
        "train_micro_batch_size_per_gpu": batch,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": 1.0,
        "steps_per_print": 10**9,
        "optimizer": {"type": "AdamW", "params": values},
    }
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def command(words: Sequence[str | Path]) -> str:
    """Run a script of Python to its end; what it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}\n{done.stderr[-3000:]}")
    return done.stdout


def environment() -> dict[str, str]:
    """That of every command: one thread of one core, nothing from outside."""
    own = {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "HF_HUB_OFFLINE": "1"}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **own, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}


def _shards(chinese: bool, corpora: Path, folder: Path) -> Path:
    target = folder / ("abstracts" if chinese else "novels")
    if target.is_dir():
        return target
    text, tokenizer, pieces = str(corpora / NOVELS), corpora / VOCABULARY, ["--longest", "64KB"]
    if chinese:
        text, tokenizer, pieces = *_chinese(corpora, folder), ["--documents", "line"]
    words = ["--input", text, *pieces, "--tokenizer", tokenizer, "--split", "train,validation=2"]
    command([ROOT / "preprocess" / "shard.py", *words, "--output", target])
    return target


def _chinese(corpora: Path, folder: Path) -> tuple[str, Path]:
    """A file of texts, a line each, and a vocabulary of its characters in the form of BERT's."""
    texts = abstracts(corpora)
    counts = Counter("".join(texts).lower())
    ordered = sorted(counts, key=lambda one: (-counts[one], one))
    found = [one for one in ordered if counts[one] > 1 and not one.isspace()]
    further = [f"##{one}" for one in found if one.isascii() and one.isalnum()]
    file, vocabulary = folder / "abstracts.txt", folder / "vocabulary" / "vocab.txt"
    vocabulary.parent.mkdir(exist_ok=True)
    vocabulary.write_text("\n".join([*SPECIAL, *found, *further, ""]), encoding="utf-8")
    file.write_text("\n".join(texts), encoding="utf-8")
    return str(file), vocabulary
