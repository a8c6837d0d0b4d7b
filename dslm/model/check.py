"""What cannot be built: the settings of a shape that contradict each other."""

from __future__ import annotations

from dslm.errors import Problem
from dslm.model.config import NO_BOTTLENECK, ModelConfig

UNIT = 8
"""Products of groups want rows of 16 bytes, in 16 bits."""


def check_model(config: ModelConfig) -> list[Problem]:
    """What cannot be built."""
    problems = _check_recurrent(config) if config.recurrent else _check_attention(config)
    if config.positions == "sinusoidal" and config.width % 2:
        rule = "must be even for sinusoidal positions"
        problems.append(Problem("model.width", config.width, rule, f"use {config.width + 1}"))
    if config.encoder_layers:
        problems += _check_encoder(config)
    if config.head_scale and (config.pair_head or not config.tied):
        rule = "is of a tied head without one for pairs"
        problems.append(Problem("model.head_scale", True, rule, "leave it out"))
    if config.experts:
        problems += _check_experts(config)
    return problems + (_check_code(config) if config.bottleneck_length else _check_no_code(config))


def _check_experts(config: ModelConfig) -> list[Problem]:
    """What no router can choose, or no product of groups can compute."""
    if config.recurrent:
        rule, fix = f"means nothing with model.block = {config.block!r}", "write model.experts=0"
        return [Problem("model.experts", config.experts, rule, fix)]
    problems, each = [], config.experts_per_token
    if each > config.experts:
        rule = f"is more than model.experts = {config.experts}"
        problems.append(
            Problem("model.experts_per_token", each, rule, f"use {config.experts} or fewer")
        )
    if each == 1 and config.experts_normalized:
        rule = "makes every weight 1 with model.experts_per_token = 1: the router learns nothing"
        fix = "write model.experts_normalized=false"
        problems.append(Problem("model.experts_normalized", True, rule, fix))
    for key, size in (("width", config.width), ("feed_forward", config.inner_width)):
        if size % UNIT:
            rule = f"must be a multiple of {UNIT} with model.experts"
            fix = f"use {max(size // UNIT, 1) * UNIT} or {(size // UNIT + 1) * UNIT}"
            problems.append(Problem(f"model.{key}", size, rule, fix))
    return problems


def _check_encoder(config: ModelConfig) -> list[Problem]:
    """What an encoder–decoder has none of."""
    rule = "does not go with model.encoder_layers"
    return [
        Problem(f"model.{key}", found, rule, "leave it out")
        for key in ("block", "segments", "transform", "pair_head", "bottleneck_length")
        if (found := getattr(config, key)) != getattr(ModelConfig, key)
    ]


def _check_attention(config: ModelConfig) -> list[Problem]:
    if config.heads is None:
        return [Problem("model.heads", None, "is required", "add model.heads=…")]
    problems = []
    if config.head_width is None:
        problems += _check_divisor("heads", config.heads, "width", config.width)
    if not problems and config.positions == "rotary" and config.key_width % 2:
        key, value = "model.head_width", config.head_width
        rule, fix = "is odd, and rotary positions turn pairs", f"use {config.key_width + 1}"
        if value is None:
            key, value = "model.heads", config.heads
            rule = (
                f"gives heads of odd width {config.key_width}, which rotary positions cannot turn"
            )
            fix = "make model.width / model.heads even"
        problems.append(Problem(key, value, rule, fix))
    if config.positions == "relative" and config.relative_distance <= config.relative_buckets // 2:
        rule = f"must be more than half of model.relative_buckets = {config.relative_buckets}"
        fix = f"use {config.relative_buckets // 2 + 1} or more"
        problems.append(Problem("model.relative_distance", config.relative_distance, rule, fix))
    return problems + _check_divisor("key_value_heads", config.query_groups, "heads", config.heads)


def _check_recurrent(config: ModelConfig) -> list[Problem]:
    """Settings of attention and feed-forward, which a recurrent block has none of."""
    without: dict[str, str | None] = dict.fromkeys(
        ("heads", "head_width", "key_value_heads", "feed_forward")
    )
    without["activation"] = ModelConfig.activation
    rule = f"means nothing with model.block = {config.block!r}"
    problems = [
        Problem(f"model.{key}", True, rule, "leave it out")
        for key in ("qk_norm", "zero_output")
        if getattr(config, key)
    ]
    problems += [
        Problem(f"model.{key}", getattr(config, key), rule, f"write model.{key}={value or 'null'}")
        for key, value in without.items()
        if getattr(config, key) != value
    ]
    if config.attention == "full":
        rule = f"model.block = {config.block!r} sees only the tokens before"
        problems.append(Problem("model.attention", "full", rule, "use the causal objective"))
    if config.recompute == "selective":
        rule, fix = "needs attention blocks, whose products are kept", "write model.recompute=true"
        problems.append(Problem("model.recompute", config.recompute, rule, fix))
    if config.positions in ("rotary", "relative"):
        rule = "needs attention heads, which a recurrent block has none of"
        fix = "write model.positions=none"
        problems.append(Problem("model.positions", config.positions, rule, fix))
    return problems


def _check_code(config: ModelConfig) -> list[Problem]:
    """What cannot be built of an autoencoder."""
    length = config.bottleneck_length
    problems = _check_divisor("bottleneck_length", length, "sequence", config.sequence)
    rule = "does not go with model.bottleneck_length"
    for key in ("block", "transform", "pair_head", "classes"):
        if (found := getattr(config, key)) != getattr(ModelConfig, key):
            problems.append(Problem(f"model.{key}", found, rule, "leave it out"))
    if config.output == "vectors" and not config.tied:
        rule = "gives a head to scores, but model.output = vectors has none"
        problems.append(Problem("model.tied", False, rule, "leave it out"))
    return problems


def _check_no_code(config: ModelConfig) -> list[Problem]:
    """What means something for an autoencoder only."""
    rule, fix = "needs a code", "set model.bottleneck_length, or leave it out"
    return [
        Problem(f"model.{key}", getattr(config, key), rule, fix)
        for key, value in NO_BOTTLENECK.items()
        if getattr(config, key) != value
    ]


def _check_divisor(key: str, divisor: int, other: str, number: int) -> list[Problem]:
    """That one setting divides another; if not, the nearest that do."""
    if number % divisor == 0:
        return []
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    below = [d for d in divisors if d < divisor][-1:]
    above = [d for d in divisors if d > divisor][:1]
    rule, fix = f"does not divide model.{other} = {number}", " or ".join(map(str, below + above))
    return [Problem(f"model.{key}", divisor, rule, f"use {fix}")]
