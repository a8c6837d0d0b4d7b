"""The activations that a rank keeps for the backward pass, counted tensor by tensor; no torch.

For each token a block keeps (D is the width, Q that of all heads, I the inner width, g the share of
heads that have keys and values of their own): inputs and outputs of the two norms 4 D, queries,
keys and values (1 + 2 g) Q, what attention gives Q, and I before and after the nonlinearity; fused
attention keeps no weights (Dao et al. 2022). The tests compare this with what torch saves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.model.counts import block_count, expert_count
from dslm.model.tuning import ALL, Tuning
from dslm.parallel.deepspeed_json.schema import given
from dslm.parallel.partition import Part
from dslm.parallel.plan import Plan

RECURRENT = {"lstm": 19.5, "gru": 9.5}
"""Numbers that a recurrent block keeps of a token for each unit of its width: its input, normalized
too, the gates and states of every token, its output. Measured on torch's CPU kernels; the LSTM's
keeps some of it twice."""
UNTOUCHED = {"lstm": 10.0}
"""Of these what is allocated on a CPU and never touched, so that no page is taken for it."""
CHUNK = 1 << 23
"""Scores that the loss turns to float32 at a time, see `dslm.objectives.cross_entropy`."""


@dataclass(frozen=True)
class Forward:
    """What a step does that a model's shape does not say."""

    scored: float = 1.0
    """The share of the tokens of which scores are made."""
    rounded: bool = False
    """Whether the weights of blocks are rounded, see `dslm.quantization`."""
    autocast: bool = False
    """Whether products are of 16-bit copies, and what is between the blocks is of float32."""
    tuning: Tuning = ALL
    """Which weights learn."""


PLAIN = Forward()


@dataclass(frozen=True)
class Activations:
    """Bytes on one rank."""

    kept: float
    """What all micro-batches in flight keep, without scores."""
    scores: float
    """Scores of all token ids that are held at once."""
    working: float
    """What exists beside these for a moment: one block's backward pass, or that of the scores."""

    @property
    def peak(self) -> float:
        """The most at any time; scores are gone when the blocks' backward pass begins."""
        return self.kept + self.scores + self.working


def check_kept(model: ModelConfig, config: Mapping[str, Any]) -> list[Problem]:
    """Whether what blocks are to keep goes with DeepSpeed's JSON."""
    if model.recompute != "selective" or given(config, "zero_optimization.stage", 0) != 3:
        return []
    rule = "gives wrong gradients at ZeRO-3, which frees weights between the two passes"
    fix = "write model.recompute=true or a number, or use a lower zero_optimization.stage"
    return [Problem("model.recompute", "selective", rule, fix)]


def activations(
    model: ModelConfig, plan: Plan, part: Part, size: int, cpu: bool, forward: Forward = PLAIN
) -> Activations:
    """What a rank keeps in a step.

    Args:
        model: its shape, the vocabulary filled in.
        plan: the layout.
        part: the pipeline stage.
        size: bytes of a number: 2 or 4.
        cpu: whether torch's kernels are those of a CPU.
        forward: what the forward pass does that the shape does not say.
    """
    shared = plan.sequence_parallel
    tokens = plan.micro_batch * plan.sequence // shared
    untouched = UNTOUCHED.get(model.block, 0.0) * model.width * size if cpu else 0.0
    copies = block_count(model) * size if forward.rounded or forward.autocast else 0
    block = tokens * (kept_by_block(model, size, cpu, shared) - untouched) + copies
    hidden = tokens * model.width * size
    if forward.autocast:
        block += 2 * hidden  # the inputs of the norms are twice as large
        hidden *= 2
    again = part.blocks and model.recomputed(part.blocks) / part.blocks
    stays = block
    if model.recompute == "selective":
        stays = tokens * kept_selectively(model, size, cpu) + (
            hidden / 2 if forward.autocast else 0
        )
    each = again * hidden + (1 - again) * stays
    blocks = part.blocks * each
    transit = 2 * hidden if part.stages > 1 else 0  # received, and its gradient
    if part.crossing:
        share = forward.scored  # of the tokens that are of the target
        crossed = (1 - again) * _kept_by_crossing(model, tokens, share) * size
        of_tokens = each if model.recompute else block - copies
        blocks += part.crossing * (crossed - (1 - share) * of_tokens)
        transit += 2 * hidden  # the encoder's output, and its gradient
    kept = part.in_flight(plan.accumulation) * (blocks + transit)
    made = block if again else block - stays  # of the block that is computed again
    times = model.experts_per_token if model.experts else 1
    gradients = times * (5 if model.gated else 2) * model.inner_width
    gradients += (2 + times) * max(model.width, model.query_width)
    own = block_count(model) - elsewhere(model, plan)
    backward = made + size * (tokens * gradients + own)
    if not part.last:
        return Activations(kept, 0, backward)
    kept += 2 * hidden  # the last norm
    if model.output == "vectors":
        return Activations(kept + 3 * hidden, 0, backward)
    count = forward.scored * tokens * model.scores
    chunks = min(count, (2 if count > CHUNK else 1) * CHUNK) * (4 if size == 4 else 8)
    held = min(2, plan.accumulation) if part.stages > 1 else 1  # DeepSpeed keeps both buffers
    scores = held * count * size
    left = scores if part.stages > 1 else 0  # when the blocks' backward pass begins
    return Activations(kept, left, max(scores - left + chunks, backward))


def elsewhere(model: ModelConfig, plan: Plan) -> int:
    """Weights of a block that other replicas hold for this one."""
    experts = expert_count(model)
    return experts - experts // plan.expert_parallel


def _kept_by_crossing(model: ModelConfig, tokens: int, share: float) -> float:
    """Numbers that a block keeps of its cross-attention.

    Those are keys and values of the source; of the target inputs and outputs of the norm, queries,
    and what attention gives; and the weights, where these are not of fused attention.
    """
    numbers = 2 * model.group_width + share * 2 * (model.width + model.query_width)
    if model.dropout:
        numbers += share * (model.heads or 1) * model.sequence * 2
    return tokens * numbers


def kept_selectively(model: ModelConfig, size: int, cpu: bool) -> float:
    """Bytes that one block keeps of a token when it computes again what is cheap.

    Its input, the results of its products with weights, and what fused attention gives; with
    dropout a CPU's attention is not fused.
    """
    numbers = 2 * model.width + model.query_width + 2 * model.group_width
    times = model.experts_per_token if model.experts else 1
    numbers += times * (model.width + (2 if model.gated else 1) * model.inner_width)
    fused = model.positions != "relative" and not (model.dropout and cpu)
    scores = 4 * model.experts  # of a router
    return (numbers + (model.query_width if fused else 0)) * size + scores


def kept_by_block(model: ModelConfig, size: int, cpu: bool, shared: int = 1) -> float:
    """Bytes that one block keeps of a token.

    Args:
        model: the model's shape.
        size: bytes of a number: 2 or 4.
        cpu: whether torch's kernels are those of a CPU.
        shared: how many ranks share each row.
    """
    if model.recurrent:
        return RECURRENT[model.block] * model.width * size
    width, queries, groups = model.width, model.query_width, model.group_width
    numbers = 4 * width + 2 * queries + 2 * groups
    numbers += _kept_by_feed_forward(model)
    if shared > 1:  # what attention gives, in two orders; groups that are repeated
        numbers += queries + 2 * groups * (shared // gcd(shared, model.query_groups) - 1)
    elif model.positions == "rotary":
        numbers += queries + groups  # turned, beside what was to be turned
    kept = numbers * size
    if model.experts:  # the router's scores, probabilities and choices; its input in float32
        kept += 8 * model.experts + 32 * model.experts_per_token + width * (4 - size)
    if model.norm == "rms" and cpu:  # composed of several operations, in float32
        kept += 2 * width * (4 if size == 4 else 6)
    if model.qk_norm:  # what goes in lies beside the values, which are kept anyway
        kept += (queries + groups) * (size + ((4 if size == 4 else 8) if cpu else 0))
    if not model.dropout:
        weights = (model.heads or 1) * model.sequence * size  # attention to numbers is not fused
        return kept + (weights if model.positions == "relative" else 0)
    if cpu:  # attention step by step: weights in float32, which of them stay, the rest
        return kept + (model.heads or 1) * model.sequence * (5 + size) + queries * (size - 2)
    return kept + 2 * groups * size  # every key and value stands twice


def _kept_by_feed_forward(model: ModelConfig) -> int:
    """Numbers that a feed-forward layer, or the experts in its place, keep of a token.

    Each expert keeps its input, which lies elsewhere than the layer's, and its output.
    """
    inner = (4 if model.gated else 2) * model.inner_width
    return model.experts_per_token * (inner + 2 * model.width) if model.experts else inner
