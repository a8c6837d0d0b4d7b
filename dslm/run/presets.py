"""Presets: functions that give the settings of a run as a nested dictionary.

A preset leaves out what only the user knows (`data.train`, `run`). A new one is a function and a
line in `PRESETS`.
"""

from __future__ import annotations

from collections.abc import Callable

from dslm.run.preset_shapes import (
    Settings,
    bert,
    faster,
    gpt2,
    llama,
    original,
    paced,
    recurrent,
)


def tiny() -> Settings:
    """0.4M weights beside the vocabulary: for tests and first tries, seconds on a CPU."""
    return {
        "model": {"layers": 2, "heads": 4, "width": 128, "sequence": 128},
        "log_interval": 1,
        **paced(300, 100, 100),
    }


def demo() -> Settings:
    """2.5M weights with a vocabulary of 4,000: learns words in minutes on two CPU cores."""
    return {
        "model": {"layers": 4, "heads": 4, "width": 192, "sequence": 128, "positions": "rotary"},
        "data": {"validation_windows": 200},
        **paced(500, 100, 250),
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
        **paced(2000, 250, 1000),
    }


def lstm_small() -> Settings:
    """LSTM of the size of demo: 1,581,056 weights beside the vocabulary (256 for each token)."""
    return recurrent("lstm", layers=3)


def gru_small() -> Settings:
    """GRU of the size of lstm_small: 1,581,568 weights beside the vocabulary."""
    return recurrent("gru", layers=4)


def gpt2_small() -> Settings:
    """GPT-2 (Radford et al. 2019): 124,439,808 weights."""
    return gpt2(layers=12, heads=12, width=768)


def gpt2_small_fast() -> Settings:
    """GPT-2 small that learns from fewer tokens, best by Muon: 163,038,720 weights, own head."""
    return faster(gpt2_small())


def gpt2_medium() -> Settings:
    """GPT-2 medium: 354,823,168 weights."""
    return gpt2(layers=24, heads=16, width=1024)


def gpt2_large() -> Settings:
    """GPT-2 large: 774,030,080 weights."""
    return gpt2(layers=36, heads=20, width=1280)


def gpt2_xl() -> Settings:
    """GPT-2 XL: 1,557,611,200 weights."""
    return gpt2(layers=48, heads=25, width=1600)


def llama_160m() -> Settings:
    """The Llama shape at GPT-2 small's size."""
    return llama(layers=12, heads=12, groups=4, width=768, inner=2048, sequence=2048)


def llama_1b() -> Settings:
    """The shape of Llama 3.2 1B (Grattafiori et al. 2024): grouped queries, tied head."""
    return llama(layers=16, heads=32, groups=8, width=2048, inner=8192, sequence=4096)


def llama_7b() -> Settings:
    """The shape of Llama 7B (Touvron et al. 2023)."""
    return llama(layers=32, heads=32, groups=32, width=4096, inner=11008, sequence=4096, tied=False)


def mixtral_tiny() -> Settings:
    """A small Mixtral: 1.8M weights beside the vocabulary, of which 1.0M compute a token."""
    settings = llama(layers=4, heads=4, groups=2, width=128, inner=256, sequence=128)
    settings["model"] |= {"experts": 4}
    return {**settings, "log_interval": 1, **paced(300, 100, 100)}


def olmoe_1b_7b() -> Settings:
    """OLMoE (Muennighoff et al. 2024) without norms of queries: 6.92B weights, 1.28B active."""
    settings = llama(16, 16, 16, width=2048, inner=1024, sequence=4096, tied=False)
    settings["model"] |= {"experts": 64, "experts_per_token": 8, "experts_normalized": False}
    return settings


def mixtral_8x7b() -> Settings:
    """Mixtral 8x7B (Jiang et al. 2024): 46,702,792,704 weights, 12,879,925,248 active."""
    settings = llama(32, 32, 8, width=4096, inner=14336, sequence=4096, tied=False)
    settings["model"] |= {"experts": 8, "rotary_base": 1e6, "router_z_loss": 0.0}
    return settings


def bert_tiny() -> Settings:
    """A small BERT (Turc et al. 2019: 2 layers of width 128): minutes on two CPU cores."""
    settings = bert(layers=2, heads=2, width=128, sequence=128, dropout=0.0)
    return {**settings, **paced(3000, 250, 500), "data": {"validation_windows": 256}}


def bert_base() -> Settings:
    """BERT (Devlin et al. 2018): 110,106,428 weights with its vocabulary of 30,522."""
    return bert(layers=12, heads=12, width=768, sequence=512)


def bert_large() -> Settings:
    """BERT large: 336,226,108 weights with its vocabulary of 30,522."""
    return bert(layers=24, heads=16, width=1024, sequence=512)


def roberta_base() -> Settings:
    """RoBERTa (Liu et al. 2019): full sentences without pairs, masked anew in each epoch."""
    settings = bert(layers=12, heads=12, width=768, sequence=512)
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
        **paced(100_000, 1000, 1000),
    }


def t5_small() -> Settings:
    """T5 small (Raffel et al. 2020): 60,506,624 weights with its vocabulary of 32,128."""
    settings = t5_style_small()
    stacks = {"encoder_layers": 6, "layers": 6, "positions": "relative", "activation": "relu"}
    settings["model"] |= {**stacks, "attention_scale": False, "head_scale": True}
    return settings


def bart_base() -> Settings:
    """BART base (Lewis et al. 2020): 139,417,344 weights with its vocabulary of 50,265."""
    settings = original(layers=6, heads=12, width=768, sequence=1024)
    settings["model"] |= {"positions": "learned", "activation": "gelu", "embedding_norm": True}
    settings["objective"]["denoising"] = {"style": "infilling"}
    settings["schedule"] = {"kind": "linear", "minimum": 0.0}
    return settings


def transformer_base() -> Settings:
    """The Transformer (Vaswani et al. 2017, base): 44,138,496 weights beside the vocabulary."""
    return original(layers=6, heads=8, width=512, sequence=512)


def encoder_decoder_tiny() -> Settings:
    """An encoder–decoder of the size of tiny: seconds on a CPU."""
    settings = original(layers=2, heads=4, width=128, sequence=128)
    settings["model"] |= {"positions": "rotary", "norm_position": "pre", "dropout": 0.0}
    return {**settings, "log_interval": 1, **paced(300, 100, 100)}


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
        **paced(3000, 250, 500),
    }


def fine_tune() -> Settings:
    """An imported or earlier run, trained on: `init_from=RUN` gives its shape and objective."""
    return paced(1000, 100, 500)


PRESETS: dict[str, Callable[[], Settings]] = {
    preset.__name__: preset
    for preset in (
        tiny,
        demo,
        shakespeare_char,
        lstm_small,
        gru_small,
        gpt2_small,
        gpt2_small_fast,
        gpt2_medium,
        gpt2_large,
        gpt2_xl,
        llama_160m,
        llama_1b,
        llama_7b,
        mixtral_tiny,
        olmoe_1b_7b,
        mixtral_8x7b,
        bert_tiny,
        bert_base,
        bert_large,
        roberta_base,
        t5_style_small,
        t5_small,
        bart_base,
        transformer_base,
        encoder_decoder_tiny,
        autoencoder_small,
        fine_tune,
    )
}
