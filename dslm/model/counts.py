"""How many weights a model has and how many operations a token costs; no torch."""

from __future__ import annotations

from dslm.model.config import GATES, ModelConfig


def parameter_count(config: ModelConfig) -> int:
    """Number of weights, tied ones counted once."""
    outside = embedding_count(config) + _code_count(config) + _head_count(config)
    crossing = cross_count(config) * config.layers + second_count(config)
    return outside + block_count(config) * config.blocks + crossing


def active_count(config: ModelConfig) -> int:
    """Number of weights that compute a token: without the experts that it does not choose."""
    return parameter_count(config) - idle_count(config) * config.blocks


def expert_count(config: ModelConfig) -> int:
    """Number of weights of all experts of one block, without their router."""
    return config.experts * _feed_forward_count(config) if config.experts else 0


def idle_count(config: ModelConfig) -> int:
    """Number of weights of the experts of one block that a token does not choose."""
    if not config.experts:
        return 0
    return (config.experts - config.experts_per_token) * _feed_forward_count(config)


def block_count(config: ModelConfig) -> int:
    """Number of weights of one block, without those of `cross_count`."""
    if config.recurrent:
        widened = 2 * config.width + (2 if config.bias else 0)  # the token and the memory
        return GATES[config.block] * config.width * widened + _norm_count(config)
    width, queries, remembered = config.width, config.query_width, 2 * config.group_width
    projected = queries + remembered
    attention = width * (projected + queries) + (projected + width if config.bias else 0)
    forward = _feed_forward_count(config)
    if config.experts:
        forward = config.experts * (forward + width)  # and the router
    return attention + forward + 2 * _norm_count(config) + _head_norm_count(config)


def _feed_forward_count(config: ModelConfig) -> int:
    """Number of weights of a feed-forward layer, or of one expert."""
    inner = config.inner_width
    widened = (2 if config.gated else 1) * inner
    biases = widened + config.width if config.bias and not config.experts else 0
    return config.width * (widened + inner) + biases


def cross_count(config: ModelConfig) -> int:
    """Number of weights by which a block attends to an encoder's output, if it does."""
    if not config.encoder_layers:
        return 0
    queries, remembered = config.query_width, 2 * config.group_width
    biases = queries + remembered + config.width if config.bias else 0
    norms = _norm_count(config) + _head_norm_count(config)
    return config.width * (2 * queries + remembered) + biases + norms


def second_count(config: ModelConfig) -> int:
    """Number of weights between the blocks of an encoder and those of its decoder."""
    return positions_count(config) + _final_norm_count(config) if config.encoder_layers else 0


def positions_count(config: ModelConfig) -> int:
    """Weights of the positions of one stack, and of the norm behind them."""
    count = _norm_count(config) if config.embedding_norm else 0
    if config.positions == "learned":
        count += config.sequence * config.width
    if config.positions == "relative":
        count += config.relative_buckets * (config.heads or 1)
    return count


def flops_per_token(config: ModelConfig, scored: float = 1.0) -> float:
    """Floating-point operations of a forward and backward pass over one token.

    6 for each weight that multiplies (all but position and untied input embeddings, and experts
    that are not chosen) plus 12 × blocks × width of all heads × sequence for attention, without its
    causal half taken off: the convention of PaLM (Chowdhery et al. 2022, appendix B) and nanoGPT.
    Recurrent blocks have their weights only. `scored` is the share of the tokens of which scores
    are made; of an encoder–decoder, which counts tokens of the source, how many of the target come
    with each.
    """
    if config.encoder_layers:
        return _two_stacks_flops(config, scored)
    multiplying = active_count(config)
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
    attention = 12.0 * config.blocks * config.query_width * config.sequence
    return 6.0 * multiplying + (0.0 if config.recurrent else attention)


def _two_stacks_flops(config: ModelConfig, scored: float) -> float:
    """The encoder reads every token of a source, the decoder keys and values of its output."""
    remembered = config.width * 2 * config.group_width
    block = block_count(config) - idle_count(config)
    source = block * config.encoder_layers + remembered * config.layers
    each = block + cross_count(config) - remembered
    target = each * config.layers + config.size * config.width
    reached = config.encoder_layers + config.layers * scored * (scored + 1)
    return 6.0 * (source + scored * target) + 12.0 * config.query_width * config.sequence * reached


def _norm_count(config: ModelConfig) -> int:
    return config.width * (2 if config.norm == "layer" and config.bias else 1)


def _head_norm_count(config: ModelConfig) -> int:
    return 2 * config.key_width if config.qk_norm else 0


def embedding_count(config: ModelConfig) -> int:
    """Weights of the embeddings of tokens, segments and positions, and of the norm behind them."""
    vectors = config.size + config.segments
    return vectors * config.width + positions_count(config)


def _final_norm_count(config: ModelConfig) -> int:
    return _norm_count(config) if config.norm_position == "pre" else 0


def _code_count(config: ModelConfig) -> int:
    """Weights of the bottleneck, and of the norm before it."""
    if not config.bottleneck_length:
        return 0
    return _final_norm_count(config) + _code_map_count(config) + config.sequence * config.width


def _code_map_count(config: ModelConfig) -> int:
    width, narrow = config.width, config.narrow_width
    return 2 * width * narrow + (width + narrow if config.bias else 0)


def class_head_count(config: ModelConfig) -> int:
    """Weights of the head of a task, if the model has one."""
    if not config.classes:
        return 0
    width, bias = config.width, int(config.classes_biased)
    return (width * width + width if config.pooled else 0) + config.classes * (width + bias)


def _head_count(config: ModelConfig) -> int:
    width, count = config.width, 0 if config.tied else config.size * config.width
    if config.classes:
        return class_head_count(config) + _final_norm_count(config)
    count += _final_norm_count(config)
    if config.output == "vectors":
        count += width * width + (width if config.bias else 0)
    if config.transform:
        count += width * width + (width if config.bias else 0) + _norm_count(config) + config.size
    if config.pair_head:
        count += width * width + width + 2 * width + 2
    return count
