"""Presets: functions that give the settings of a run as a nested dictionary.

A preset leaves out what only the user knows (`data.train`, `run`). A new one is a function and a
line in `PRESETS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Settings = dict[str, Any]


def tiny() -> Settings:
    """0.4M weights beside the vocabulary: for tests and first tries, seconds on a CPU."""
    return {
        "model": {"layers": 2, "heads": 4, "width": 128, "sequence": 128},
        "log_interval": 1,
        **_paced(300, 100, 100),
    }


def demo() -> Settings:
    """2.5M weights with a vocabulary of 4,000: learns words in minutes on two CPU cores."""
    return {
        "model": {"layers": 4, "heads": 4, "width": 192, "sequence": 128, "positions": "rotary"},
        "data": {"validation_windows": 200},
        **_paced(500, 100, 250),
    }


def shakespeare_char() -> Settings:
    """The character model that nanoGPT trains on a CPU: 4 layers of width 128, 64 characters."""
    return {
        "model": {
            "layers": 4,
            "heads": 4,
            "width": 128,
            "sequence": 64,
            "bias": False,
            "activation": "gelu",
        },
        "log_interval": 10,
        **_paced(2000, 250, 1000),
    }


def lstm_small() -> Settings:
    """LSTM of the size of demo: 1,581,056 weights beside the vocabulary (256 for each token)."""
    return _recurrent("lstm", layers=3)


def gru_small() -> Settings:
    """GRU of the size of lstm_small: 1,581,568 weights beside the vocabulary."""
    return _recurrent("gru", layers=4)


def gpt2_small() -> Settings:
    """GPT-2 (Radford et al. 2019): 124,439,808 weights."""
    return _gpt2(layers=12, heads=12, width=768)


def gpt2_medium() -> Settings:
    """GPT-2 medium: 354,823,168 weights."""
    return _gpt2(layers=24, heads=16, width=1024)


def gpt2_large() -> Settings:
    """GPT-2 large: 774,030,080 weights."""
    return _gpt2(layers=36, heads=20, width=1280)


def gpt2_xl() -> Settings:
    """GPT-2 XL: 1,557,611,200 weights."""
    return _gpt2(layers=48, heads=25, width=1600)


def llama_160m() -> Settings:
    """The Llama shape at GPT-2 small's size."""
    return _llama(layers=12, heads=12, groups=4, width=768, inner=2048, sequence=2048)


def llama_1b() -> Settings:
    """The shape of Llama 3.2 1B (Grattafiori et al. 2024): grouped queries, tied head."""
    return _llama(layers=16, heads=32, groups=8, width=2048, inner=8192, sequence=4096)


def llama_7b() -> Settings:
    """The shape of Llama 7B (Touvron et al. 2023)."""
    return _llama(
        layers=32, heads=32, groups=32, width=4096, inner=11008, sequence=4096, tied=False
    )


def bert_tiny() -> Settings:
    """A small BERT (Turc et al. 2019: 2 layers of width 128): minutes on two CPU cores."""
    settings = _bert(layers=2, heads=2, width=128, sequence=128, dropout=0.0)
    return {**settings, **_paced(3000, 250, 500), "data": {"validation_windows": 256}}


def bert_base() -> Settings:
    """BERT (Devlin et al. 2018): 110,106,428 weights with its vocabulary of 30,522."""
    return _bert(layers=12, heads=12, width=768, sequence=512)


def bert_large() -> Settings:
    """BERT large: 336,226,108 weights with its vocabulary of 30,522."""
    return _bert(layers=24, heads=16, width=1024, sequence=512)


def roberta_base() -> Settings:
    """RoBERTa (Liu et al. 2019): full sentences without pairs, masked anew in each epoch."""
    settings = _bert(layers=12, heads=12, width=768, sequence=512)
    settings["objective"] = {"kind": "masked"}
    settings["model"] |= {"segments": 0, "norm_epsilon": 1e-5}
    settings["data"] = {"packing": "best_fit", "document_borders": True}
    return settings


def t5_style_small() -> Settings:
    """T5 small (Raffel et al. 2020) as one stack: 54,158,336 weights with 32,025 ids."""
    return {
        "model": {
            "layers": 12,
            "heads": 8,
            "width": 512,
            "sequence": 512,
            "positions": "rotary",
            "norm": "rms",
            "norm_epsilon": 1e-6,
            "activation": "gelu",
            "bias": False,
            "dropout": 0.1,
        },
        "objective": {"kind": "denoising"},
        "schedule": {"kind": "inverse_sqrt"},
        **_paced(100_000, 1000, 1000),
    }


def autoencoder_small() -> Settings:
    """An autoencoder of 0.8M weights beside the vocabulary: 64 tokens through 16 vectors of 64."""
    return {
        "model": {
            "layers": 2,
            "heads": 4,
            "width": 128,
            "sequence": 64,
            "bottleneck_length": 16,
            "bottleneck_width": 64,
        },
        "data": {"validation_windows": 256},
        "objective": {"kind": "autoencoder"},
        **_paced(3000, 250, 500),
    }


def fine_tune() -> Settings:
    """An imported or earlier run, trained on: `init_from=RUN` gives its shape and objective."""
    return _paced(1000, 100, 500)


def _paced(steps: int, evaluation: int, checkpoint: int) -> Settings:
    return {
        "steps": steps,
        "evaluation_interval": evaluation,
        "checkpoint_interval": checkpoint,
    }


def _recurrent(block: str, layers: int) -> Settings:
    model = {"block": block, "layers": layers, "width": 256, "sequence": 128, "positions": "none"}
    return {
        "model": model,
        "data": {"validation_windows": 200},
        **_paced(500, 100, 250),
    }


def _gpt2(layers: int, heads: int, width: int) -> Settings:
    model = {"layers": layers, "heads": heads, "width": width, "sequence": 1024}
    return {
        "model": {**model, "vocabulary": 50257, "tied": True, "bias": True},
        **_paced(100_000, 1000, 1000),
    }


def _bert(layers: int, heads: int, width: int, sequence: int, dropout: float = 0.1) -> Settings:
    return {
        "model": {
            "layers": layers,
            "heads": heads,
            "width": width,
            "sequence": sequence,
            "norm_position": "post",
            "norm_epsilon": 1e-12,
            "activation": "gelu",
            "embedding_norm": True,
            "transform": True,
            "dropout": dropout,
        },
        "objective": {"kind": "masked", "masked": {"pairs": "next_sentence"}},
        "schedule": {"kind": "linear", "minimum": 0.0},
        **_paced(100_000, 1000, 1000),
    }


def _llama(
    layers: int, heads: int, groups: int, width: int, inner: int, sequence: int, tied: bool = True
) -> Settings:
    return {
        "model": {
            "layers": layers,
            "heads": heads,
            "key_value_heads": groups,
            "width": width,
            "feed_forward": inner,
            "sequence": sequence,
            "positions": "rotary",
            "norm": "rms",
            "activation": "swiglu",
            "bias": False,
            "tied": tied,
        },
        **_paced(100_000, 1000, 1000),
    }


PRESETS: dict[str, Callable[[], Settings]] = {
    preset.__name__: preset
    for preset in (
        tiny,
        demo,
        shakespeare_char,
        lstm_small,
        gru_small,
        gpt2_small,
        gpt2_medium,
        gpt2_large,
        gpt2_xl,
        llama_160m,
        llama_1b,
        llama_7b,
        bert_tiny,
        bert_base,
        bert_large,
        roberta_base,
        t5_style_small,
        autoencoder_small,
        fine_tune,
    )
}
