"""Self-attention with grouped key/value heads and an optional cache for generation.

The path of a value: hidden → one projection to queries, keys and values → norm of queries and keys
→ positions (rotary) → cache → scaled dot-product attention, as far as each token sees → output
projection.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dslm.model.config import ModelConfig
from dslm.model.cross_attention import Source
from dslm.model.dropout import Dropout, Site
from dslm.model.head_norm import head_norm
from dslm.model.memory import Memory
from dslm.model.positions import rotary, rotate
from dslm.model.relative import relative_bias
from dslm.model.sequence import SequencePart, first_of
from dslm.model.tensor_parallel import ColumnLinear, RowLinear, own_columns
from dslm.model.visibility import Visibility, attend, following


class Cache(Memory):
    """Keys and values of the tokens a layer has seen, so that generation reads each token once.

    They take memory when the first ones come.

    Args:
        config: the model's shape.
        batch: number of sequences.
        capacity: how many tokens of each it can hold.
        like: a tensor whose dtype and device it takes.
    """

    def __init__(self, config: ModelConfig, batch: int, capacity: int, like: Tensor) -> None:
        super().__init__(batch)
        self._shape, self._like = (config.query_groups, capacity, config.key_width), like
        self.held: tuple[Tensor, Tensor] | None = None
        """Keys and values [B, K, capacity, E] of all texts."""
        self.source: Source | None = None
        """What a decoder's block keeps of the source of each text, once it has read it."""

    def append(self, keys: Tensor, values: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Add new tokens' keys and values [B, K, S, E]; return those of all tokens so far.

        Args:
            keys: [B, K, S, E].
            values: [B, K, S, E].
            places: [B, S], the positions of the new tokens, see `Memory.places`.
        """
        rows = torch.arange(len(places), device=places.device)[:, None]
        for held, new in zip(self._room(), (keys, values), strict=True):
            held[rows, :, places] = new.transpose(1, 2)
        self.advance(places.shape[1])
        held_keys, held_values = self._room()
        longest = max(self.lengths)
        return held_keys[:, :, :longest], held_values[:, :, :longest]

    def _keep(self, rows: list[int]) -> None:
        if self.held is not None:
            keys, values = self.held
            self.held = keys[rows], values[rows]
        self.source = self.source and self.source.of(rows)

    def _put(self, rows: list[int], other: Cache) -> None:
        assert other.source is None, "texts behind an encoder begin together"
        if other.held is None:
            return
        longest = max(other.lengths)
        for held, new in zip(self._room(), other.held, strict=True):
            held[rows, :, :longest] = new[:, :, :longest]

    def _room(self) -> tuple[Tensor, Tensor]:
        """`held`, made if it is not there yet."""
        if self.held is None:
            shape = len(self.lengths), *self._shape
            # Zeros: places behind a shorter text are left out, but what is no number would show.
            self.held = self._like.new_zeros(shape), self._like.new_zeros(shape)
        return self.held


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017), grouped queries (Ainslie et al. 2023)."""

    sequence_part: SequencePart | None = None
    """Of the rows, which tokens come in; `None` = all."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        parts = [config.query_width, config.group_width, config.group_width]
        self.project = ColumnLinear(config.width, parts, config.bias, config.initialization)
        self.widths, self.axis = self.project.widths, self.project.axis
        self.stacked = {"project.weight": tuple(self.widths)}
        self.query_norm, self.key_norm = head_norm(config), head_norm(config)
        deviation = config.output_deviation
        self.output = RowLinear(config.query_width, config.width, config.bias, deviation)
        self.dropout = Dropout(config.dropout, Site.ATTENTION)

    def forward(
        self,
        hidden: Tensor,
        visibility: Visibility | None = None,
        position_ids: Tensor | None = None,
        selected: Tensor | None = None,
        dropout_keys: Tensor | None = None,
        relative: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Let each token attend to those it sees.

        Args:
            hidden: [B, S, D]; of rows that several ranks share, this rank's tokens.
            visibility: who sees whom; without it a token sees what `ModelConfig.attention` says;
                always of whole rows.
            position_ids: [B, S], the position of each token in its document; without it that in
                the row; needed with a cache.
            selected: [B, M], the positions in the whole row whose vectors are wanted; all without
                it.
            dropout_keys: [B], see `dslm.model.dropout`; needed in training.
            relative: [buckets, H], the numbers of a stack, see `dslm.model.relative`.
            cache: holds earlier tokens when generating; `hidden` then follows them.

        Returns:
            [B, M, D]; where ranks share rows, a part of the M, see `dslm.model.sequence`.
        """
        part = self.sequence_part
        queries, keys, values = self._projected(hidden, position_ids)
        first = self.axis.rank * queries.shape[1]
        if relative is not None:
            relative = own_columns(relative, self.axis)
        if part is not None:
            queries, keys, values = part.heads(queries, keys, values)
            first += first_of(part, queries.shape[1])
            relative = None if relative is None else part.own(relative)
        if cache is not None:
            assert position_ids is not None
            apart = len(set(cache.lengths)) > 1
            keys, values = cache.append(keys, values, position_ids)
            visibility = following(position_ids, keys.shape[2]) if apart else visibility
        bias = None
        if relative is not None:
            places = None if cache is None else position_ids
            bias = relative_bias(self.config, relative, keys.shape[2], places)
        mixed = attend(
            queries,
            keys,
            values,
            visibility,
            selected,
            causal=self.config.attention == "causal",
            dropped=self.dropout.of_heads(queries, dropout_keys, selected, first),
            bias=bias,
            scale=None if self.config.attention_scale else 1.0,
        )
        mixed = mixed if part is None else part.tokens(mixed)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _projected(
        self, hidden: Tensor, position_ids: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, S, E], keys and values [B, K, S, E] of hidden vectors [B, S, D]."""
        queries, keys, values = (
            part.view(*part.shape[:2], -1, self.config.key_width).transpose(1, 2)
            for part in torch.split(self.project(hidden), self.widths, dim=-1)
        )
        queries, keys = self.query_norm(queries), self.key_norm(keys)
        if self.config.positions == "rotary":
            cosines, sines = self._turns(hidden, position_ids)
            queries, keys = rotate(queries, cosines, sines), rotate(keys, cosines, sines)
        return queries, keys, values

    def _turns(self, hidden: Tensor, position_ids: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the positions of hidden vectors [B, S, D], for `rotate`."""
        config, device = self.config, hidden.device
        cosines, sines = rotary(config.sequence, config.key_width, config.rotary_base, device)
        if position_ids is not None:
            return cosines[position_ids][:, None], sines[position_ids][:, None]
        # Not a slice, of which a compiler would make another graph for rows of full length.
        here = 0, first_of(self.sequence_part, hidden.shape[1]), hidden.shape[1]
        return cosines.narrow(*here), sines.narrow(*here)
