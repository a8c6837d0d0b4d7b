"""A model's size and shape on one line, as a first screen has it."""

from __future__ import annotations

from dslm.model.config import ModelConfig
from dslm.model.counts import active_count, parameter_count


def model_line(model: ModelConfig) -> str:
    """How many weights a model has, its shape and its reach."""
    kind = f"{model.block} " if model.recurrent else ""
    encoder = f"{model.encoder_layers} + " if model.encoder_layers else ""
    shape = f"{encoder}{model.layers} {kind}layers × {width(model)}"
    if model.bottleneck_length:
        code = f"{model.bottleneck_length} × {model.narrow_width}"
        shape += f", a code of {code}, {model.decoder_blocks} layers back"
    reach = f"{model.sequence:,} tokens, vocabulary {model.size:,}"
    return f"{parameters(model)} · {shape} · {reach}"


def parameters(model: ModelConfig) -> str:
    """How many weights a model has and, if those are fewer, how many of them compute a token."""
    active = f", {active_count(model):,} active" if model.experts else ""
    return f"{parameter_count(model):,} parameters{active}"


def width(model: ModelConfig) -> str:
    """What a layer is made of."""
    heads = f", {model.heads} heads" if model.heads else ""
    chosen = f", {model.experts_per_token} of {model.experts} experts" if model.experts else ""
    return f"{model.width} wide{heads}{chosen}"
