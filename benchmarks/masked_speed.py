"""Seconds of a masked-LM step against `transformers`, the same shape and the same plain loop.

Ours against BertForPreTraining: tokens of two segments, one row of four with padding at its end,
15 % of the tokens asked for, next sentence as well. The peer scores every place; ours those asked
for alone, and so gains the more the larger the vocabulary is beside the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from measure import THREADS, Options, Row, Table, alternate, slowdown, timed
from model_speed import emulated, stepping
from torch import Tensor, nn
from torch.nn import functional

from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.objectives.batch import IGNORE
from dslm.objectives.cross_entropy import cross_entropy

SIZES = {"base": (12, 768), "medium": (8, 512), "small": (4, 512), "mini": (4, 256)}
"""Layers and width of published BERT models (Devlin et al. 2018, Turc et al. 2019)."""
EMULATED = (2, 128)
"""In place of them where a precision is only imitated, some hundred times slower."""
VOCABULARY, SEQUENCE, BATCH, ROUNDS = 30522, 128, 8, 7
SHARE = 0.15
CARRIED = ("segments", "visibility", "selected")


@dataclass(frozen=True)
class Example:
    """A batch, in the form of either."""

    tokens: Tensor
    segments: Tensor
    real: Tensor
    selected: Tensor
    labels: Tensor
    relation: Tensor

    @staticmethod
    def drawn(batch: int, sequence: int) -> Example:
        """One with padding in every fourth row."""
        draw = torch.Generator().manual_seed(0)
        positions, asked = torch.arange(sequence), round(SHARE * sequence)
        lengths = torch.where(torch.arange(batch) % 4 == 0, sequence * 3 // 4, sequence)
        picks = [1 + torch.randperm(int(length) - 1, generator=draw)[:asked] for length in lengths]
        return Example(
            tokens=torch.randint(VOCABULARY, (batch, sequence), generator=draw),
            segments=(positions >= sequence // 2).long().expand(batch, sequence).contiguous(),
            real=(positions < lengths[:, None]).long(),
            selected=torch.stack([select.sort().values for select in picks]),
            labels=torch.randint(VOCABULARY, (batch, asked), generator=draw),
            relation=torch.randint(2, (batch,), generator=draw),
        )

    def to(self, device: str) -> Example:
        """The same on a device."""
        return Example(**{name: value.to(device) for name, value in vars(self).items()})

    def everywhere(self) -> Tensor:
        """The labels as the peer wants them."""
        return torch.full_like(self.tokens, IGNORE).scatter_(1, self.selected, self.labels)


def measure(options: Options) -> Table:
    """Time one optimizer step of either model in turns."""
    torch.set_num_threads(THREADS)
    rows = [_compare(f"BERT-{name}", *size, torch.float32) for name, size in SIZES.items()]
    half = torch.bfloat16
    layers, width = EMULATED if emulated(half) else SIZES["base"]
    note = " (imitated by this processor)" if emulated(half) else ""
    rows.append(_compare(f"{layers} × {width}{note}", layers, width, half))
    setting = (
        f"{BATCH} × {SEQUENCE} tokens a step, vocabulary {VOCABULARY:,}, next sentence included, "
        f"no dropout, plain loop with fused AdamW and clipping, median of {ROUNDS} rounds"
    )
    return Table("Masked language modelling against transformers", setting, rows)


def _compare(name: str, layers: int, width: int, dtype: torch.dtype) -> Row:
    precision = str(dtype).removeprefix("torch.")
    wanted = "≤ 0.71×" if dtype == torch.float32 else "≤ 0.87×"
    example = Example.drawn(BATCH, SEQUENCE)
    steps = {
        "dslm": stepping(ours(layers, width), partial(our_loss, example=example), dtype),
        "peer": stepping(peer(layers, width), partial(peer_loss, example=example), dtype),
    }
    rates = alternate({n: timed(step) for n, step in steps.items()}, ROUNDS, f"masked, {name}")
    return slowdown(f"a step of {name}, {precision}", wanted, rates["dslm"], rates["peer"])


def ours(layers: int, width: int, sequence: int = SEQUENCE) -> nn.Module:
    shape = ModelConfig(
        layers=layers,
        heads=width // 64,
        width=width,
        sequence=sequence,
        vocabulary=VOCABULARY,
        attention="full",
        norm_position="post",
        activation="gelu",
        segments=2,
        embedding_norm=True,
        transform=True,
        pair_head=True,
    )
    return Transformer(stages(shape, 0, CARRIED))


def our_loss(model: nn.Module, example: Example) -> Tensor:
    first = functional.pad(example.selected, (1, 0))
    labels = functional.pad(example.labels, (1, 0), value=IGNORE)
    scores, pair = model((example.tokens, example.segments, -example.real, first))
    relation = cross_entropy(pair[:, None], example.relation[:, None])
    masked = cross_entropy(scores, labels) / (labels != IGNORE).sum()
    return masked + relation / len(pair)


def peer(layers: int, width: int, sequence: int = SEQUENCE) -> nn.Module:
    from transformers import BertConfig, BertForPreTraining

    return BertForPreTraining(
        BertConfig(
            vocab_size=VOCABULARY,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            hidden_size=width,
            intermediate_size=4 * width,
            max_position_embeddings=sequence,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="sdpa",
        )
    )


def peer_loss(model: nn.Module, example: Example) -> Tensor:
    loss: Tensor = model(
        input_ids=example.tokens,
        attention_mask=example.real,
        token_type_ids=example.segments,
        labels=example.everywhere(),
        next_sentence_label=example.relation,
    ).loss
    return loss
