"""The shapes and the pace that several presets share."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]


def paced(steps: int, evaluation: int, checkpoint: int) -> Settings:
    """How long a run is, and how often it is measured and kept."""
    return {
        "steps": steps,
        "evaluation_interval": evaluation,
        "checkpoint_interval": checkpoint,
    }


def recurrent(block: str, layers: int) -> Settings:
    """Layers of width 256 without positions."""
    model = {"block": block, "layers": layers, "width": 256, "sequence": 128, "positions": "none"}
    return {
        "model": model,
        "data": {"validation_windows": 200},
        **paced(500, 100, 250),
    }


def gpt2(layers: int, heads: int, width: int) -> Settings:
    """GPT-2 (Radford et al. 2019)."""
    model = {"layers": layers, "heads": heads, "width": width, "sequence": 1024}
    return {
        "model": {**model, "vocabulary": 50257, "tied": True, "bias": True},
        **paced(100_000, 1000, 1000),
    }


def faster(settings: Settings) -> Settings:
    """The same model with what makes its loss fall in fewer tokens; Muon beside it is the JSON's.

    Normalized queries and keys (Henry et al. 2020), the square of ReLU (So et al. 2021), residual
    outputs that begin at zero, a head of its own, and a rate that stays until the last fifth (Hu
    et al. 2024), as in speedruns of GPT-2 (Jordan et al. 2024).
    """
    own = {"qk_norm": True, "activation": "relu2", "zero_output": True, "tied": False}
    schedule = {"kind": "warmup_stable_decay", "minimum": 0.0}
    return {**settings, "model": {**settings["model"], **own}, "schedule": schedule}


def bert(layers: int, heads: int, width: int, sequence: int, dropout: float = 0.1) -> Settings:
    """BERT (Devlin et al. 2018), with its pairs."""
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
        **paced(100_000, 1000, 1000),
    }


def original(layers: int, heads: int, width: int, sequence: int) -> Settings:
    """Encoder and decoder as in the first Transformer (Vaswani et al. 2017)."""
    return {
        "model": {
            "encoder_layers": layers,
            "layers": layers,
            "heads": heads,
            "width": width,
            "sequence": sequence,
            "positions": "sinusoidal",
            "norm_position": "post",
            "activation": "relu",
            "dropout": 0.1,
        },
        "objective": {"kind": "denoising"},
        "schedule": {"kind": "inverse_sqrt"},
        **paced(100_000, 1000, 1000),
    }


def llama(
    layers: int, heads: int, groups: int, width: int, inner: int, sequence: int, tied: bool = True
) -> Settings:
    """Llama (Touvron et al. 2023)."""
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
        **paced(100_000, 1000, 1000),
    }
