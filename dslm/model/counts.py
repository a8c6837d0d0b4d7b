"""How many weights a model has and how many operations a token costs; no torch."""

from __future__ import annotations

from dslm.model.config import GATES, ModelConfig


def parameter_count(config: ModelConfig) -> int:
    """Number of weights, tied ones counted once."""
    outside = _embedding_count(config) + _code_count(config) + _head_count(config)
    return outside + block_count(config) * config.blocks


def block_count(config: ModelConfig) -> int:
    """Number of weights of one block."""
    if config.recurrent:
        widened = 2 * config.width + (2 if config.bias else 0)  # the token and the memory
        return GATES[config.block] * config.width * widened + _norm_count(config)
    width, inner, groups = config.width, config.inner_width, config.query_groups
    projected = width + 2 * groups * config.head_width  # queries, keys, values
    widened = (2 if config.activation == "swiglu" else 1) * inner
    matrices = width * projected + width * width + width * widened + inner * width
    biases = (projected + width + widened + width) if config.bias else 0
    return matrices + biases + 2 * _norm_count(config)


def flops_per_token(config: ModelConfig, scored: float = 1.0) -> float:
    """Floating-point operations of a forward and backward pass over one token.

    6 for each weight that multiplies (all but position and untied input embeddings) plus
    12 × blocks × width × sequence for attention, without the causal half being taken off:
    the convention of PaLM (Chowdhery et al. 2022, appendix B) and nanoGPT. Recurrent blocks have
    their weights only. `scored` is the share of the tokens of which scores are made.
    """
    multiplying = parameter_count(config)
    if config.positions == "learned":
        multiplying -= config.sequence * config.width
    if not config.tied or config.output == "vectors" or config.classes:
        multiplying -= config.size * config.width
    if config.output == "scores" and not config.classes:
        multiplying -= round((1 - scored) * config.size * config.width)
    if config.bottleneck_length:
        # The maps to and from the code are applied to its vectors, not to every token.
        seldom = _code_map_count(config) * (config.sequence - config.bottleneck_length)
        multiplying -= config.sequence * config.width + seldom // config.sequence
    attention = 12.0 * config.blocks * config.width * config.sequence
    return 6.0 * multiplying + (0.0 if config.recurrent else attention)


def _norm_count(config: ModelConfig) -> int:
    return config.width * (2 if config.norm == "layer" and config.bias else 1)


def _embedding_count(config: ModelConfig) -> int:
    positions = config.sequence if config.positions == "learned" else 0
    vectors = config.size + positions + config.segments
    return vectors * config.width + (_norm_count(config) if config.embedding_norm else 0)


def _code_count(config: ModelConfig) -> int:
    """Weights of the bottleneck, and of the norm before it."""
    if not config.bottleneck_length:
        return 0
    norm = _norm_count(config) if config.norm_position == "pre" else 0
    return norm + _code_map_count(config) + config.sequence * config.width


def _code_map_count(config: ModelConfig) -> int:
    width, narrow = config.width, config.narrow_width
    return 2 * width * narrow + (width + narrow if config.bias else 0)


def _head_count(config: ModelConfig) -> int:
    width, count = config.width, 0 if config.tied else config.size * config.width
    if config.classes:
        count = (width * width + width if config.pooler else 0) + config.classes * (width + 1)
    if config.norm_position == "pre":
        count += _norm_count(config)
    if config.classes:
        return count
    if config.output == "vectors":
        count += width * width + (width if config.bias else 0)
    if config.transform:
        count += width * width + (width if config.bias else 0) + _norm_count(config) + config.size
    if config.pair_head:
        count += width * width + width + 2 * width + 2
    return count
