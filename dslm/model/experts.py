"""A mixture of experts (Shazeer et al. 2017) in place of a block's feed-forward layer.

A router chooses for every token a few of many feed-forward layers, and adds up what they make of
it, each weighted by the router's probability. Tokens are sorted by expert and multiplied in groups:
none is dropped, however many choose the same expert, and what a token becomes depends on no other.

Two losses are added to that of the objective. The first rises when few experts get most tokens
(Fedus et al. 2021, "Switch Transformers", section 2.2), computed for each row by itself
(DeepSeek-AI 2024, "DeepSeek-V3", section 2.1.2): the mean over rows is the same however a batch is
cut. The second keeps the router's scores small (Zoph et al. 2022, "ST-MoE", section 3.2). Both
exist where the router is, which in a pipeline is not where the loss is: so their gradient joins
that of the layer's output on its way back, in the scale that the engine says it has there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.config import ModelConfig
from dslm.model.expert_parallel import expert_axis, inverse
from dslm.model.initial import Normal, begin
from dslm.model.sequence import SequencePart
from dslm.model.tensor_parallel import Piece, enter, leave, mark_piece, tensor_axis


class Router(nn.Module):
    """A linear map from a token to a score for each expert, always in float32."""

    __call__: Callable[..., Tensor]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.experts, config.width))
        begin(self.weight, Normal(config.initialization))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [B, S, D] to [B, S, experts] in float32."""
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(hidden.float(), self.weight.float())


class ExpertLinear(nn.Module):
    """A linear map of each expert, without biases, all in one weight [experts, out, in].

    Of experts that several ranks share, a rank's weight has those of its own.
    """

    __call__: Callable[..., Tensor]

    def __init__(self, experts: int, inputs: int, outputs: int, deviation: float) -> None:
        super().__init__()
        among = expert_axis()
        self.weight = nn.Parameter(torch.empty(experts // among.size, outputs, inputs))
        begin(self.weight, Normal(deviation))
        if among.size > 1:
            piece = Piece((experts, outputs, inputs), 0, (experts,), among)
            self.weight.piece = piece  # type: ignore[attr-defined]

    def forward(self, inputs: Tensor, ends: Tensor) -> Tensor:
        """Map [N, in] to [N, out].

        Args:
            inputs: those of the first expert, then those of the next …
            ends: [experts] int32, where those of each end.
        """
        kind, device = self.weight.dtype, inputs.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
        matrices = self.weight.to(kind).transpose(1, 2)
        return F.grouped_mm(inputs.to(kind), matrices, offs=ends)


class Experts(nn.Module):
    """A router and its experts, each a feed-forward layer without biases.

    Args:
        config: the model's shape.
        activation: the nonlinearity, or that of the gate.
    """

    __call__: Callable[..., Tensor]
    sequence_part: SequencePart | None = None
    """Of the rows, which tokens come in; `None` = all."""
    scale: Tensor | None = None
    """What the gradient of a step's loss is multiplied by on its way back; `None` = 1."""
    measured: Tensor | None = None
    """[3 + experts], where the passes of a step add up how many they are, both losses and how many
    tokens have chosen each expert; `None` measures nothing."""

    def __init__(self, config: ModelConfig, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.config, self.activation, self.among = config, activation, expert_axis()
        inner = config.inner_width
        parts = (inner,) * (2 if config.gated else 1)
        self.axis = tensor_axis()  # whose ranks have a part of the inner units of every expert
        count, width, ranks = config.experts, config.width, self.axis.size
        self.router = Router(config)
        self.enter = ExpertLinear(count, width, sum(parts) // ranks, config.initialization)
        self.leave = ExpertLinear(count, inner // ranks, width, config.output_deviation)
        mark_piece(self.enter.weight, Piece((count, sum(parts), width), 1, parts, self.axis))
        mark_piece(self.leave.weight, Piece((count, width, inner), 2, (inner,), self.axis))

    def forward(self, hidden: Tensor, is_text: Tensor | None = None) -> Tensor:
        """Map [B, S, D] to [B, S, D], each token by the experts that are chosen for it.

        Args:
            hidden: [B, S, D].
            is_text: [B, S], which tokens count for the balance; all without it.
        """
        each = self.config.experts_per_token
        scores = self.router(hidden)
        probabilities = scores.softmax(-1)
        shares, chosen = probabilities.topk(each)  # [B, S, k]
        if self.config.experts_normalized:
            shares = shares / shares.sum(-1, keepdim=True)
        hits = chosen[..., None] == torch.arange(self.config.experts, device=hidden.device)
        made = self._computed(enter(hidden, self.axis), chosen, hits.sum((0, 1, 2)))
        weights = enter(shares, self.axis).to(made.dtype)
        mixed = leave((made * weights[..., None]).sum(2), self.axis)
        if not torch.is_grad_enabled() or not self.training:
            return mixed
        return self._with_losses(mixed, scores, probabilities, hits.sum(2), is_text)

    def _computed(self, hidden: Tensor, chosen: Tensor, counts: Tensor) -> Tensor:
        """What the experts make of the tokens that have chosen them, [B, S, k, D].

        Args:
            hidden: [B, S, D].
            chosen: [B, S, k], the experts of each token.
            counts: [experts], how often each is chosen.
        """
        order = chosen.flatten().argsort(stable=True)
        copies = hidden[:, :, None].expand(*chosen.shape, -1).flatten(0, 2)
        made = self.among.exchanged(copies.index_select(0, order), counts, self._by_expert)
        return made.index_select(0, inverse(order)).view(*chosen.shape, -1)

    def _by_expert(self, tokens: Tensor, counts: Tensor) -> Tensor:
        """What each expert makes of its tokens; see `dslm.model.expert_parallel.Compute`."""
        ends = counts.cumsum(0, dtype=torch.int32)
        inner = self.enter(tokens, ends)
        if self.config.gated:
            gate, inner = inner.chunk(2, dim=-1)
            inner = self.activation(gate) * inner
        else:
            inner = self.activation(inner)
        return self.leave(inner, ends)

    def _with_losses(
        self,
        mixed: Tensor,
        scores: Tensor,
        probabilities: Tensor,
        hits: Tensor,
        is_text: Tensor | None,
    ) -> Tensor:
        """The output, behind which the gradient of the router's losses waits.

        Args:
            mixed: the output [B, S, D].
            scores: [B, S, experts].
            probabilities: [B, S, experts].
            hits: [B, S, experts], whether a token has chosen an expert.
            is_text: [B, S] or `None`.
        """
        if is_text is None:
            is_text = torch.ones_like(hits[..., 0], dtype=torch.bool)
        counted = is_text[..., None].float()
        counts = (hits * counted).sum(1)  # [B, experts]
        totals, parts = torch.cat([counts, counted.sum(1)], 1), 1
        if self.sequence_part is not None:  # the mean over the ranks is then that of whole rows
            totals, parts = self.sequence_part.total(totals), self.sequence_part.size
        tokens = totals[:, -1:].clamp(min=1) / parts
        mean = (probabilities * counted).sum(1) / tokens
        share = totals[:, :-1] / (parts * tokens * self.config.experts_per_token)
        balance = self.config.experts * (share * mean).sum(-1).mean()
        sizes = scores.logsumexp(-1).square()[..., None]
        size = ((sizes * counted).sum(1) / tokens).mean()
        if self.measured is not None:
            with torch.no_grad():
                one = torch.ones_like(balance)
                self.measured += torch.cat([torch.stack([one, balance, size]), counts.sum(0)])
        loss = self.config.router_balance_loss * balance + self.config.router_z_loss * size
        scale = torch.ones_like(loss) if self.scale is None else self.scale
        made: Tensor = _Joined.apply(mixed, loss, scale)  # type: ignore[no-untyped-call]
        return made


class _Joined(torch.autograd.Function):
    """The first argument; in the backward pass the second gets its own gradient, the third."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, loss: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (scale,) = ctx.saved_tensors
        return gradient, scale, None
