"""BERT's shape against the reference implementation of `transformers`, with the same weights."""

from __future__ import annotations

from typing import Any

import torch
from helpers.models import shaken
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining

from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

SHAPE: dict[str, Any] = {
    "layers": 3,
    "heads": 6,
    "width": 48,
    "sequence": 24,
    "vocabulary": 97,
    "attention": "full",
    "norm_position": "post",
    "norm_epsilon": 1e-12,
    "activation": "gelu",
    "segments": 2,
    "embedding_norm": True,
    "transform": True,
}
THEIRS = BertConfig(
    num_hidden_layers=3,
    num_attention_heads=6,
    hidden_size=48,
    intermediate_size=192,
    max_position_embeddings=24,
    vocab_size=97,
)
BLOCK = {
    "attention.project": [f"attention.self.{name}" for name in ("query", "key", "value")],
    "attention.output": ["attention.output.dense"],
    "attention_norm": ["attention.output.LayerNorm"],
    "feed_forward.enter": ["intermediate.dense"],
    "feed_forward.leave": ["output.dense"],
    "feed_forward_norm": ["output.LayerNorm"],
}
DRAW = torch.Generator().manual_seed(1)
TOKENS = torch.randint(97, (3, 24), generator=DRAW)
SEGMENTS = (torch.arange(24) >= 11).long().expand(3, 24)
LENGTHS = torch.tensor([24, 17, 5])
REAL = torch.arange(24) < LENGTHS[:, None]


def from_bert(theirs: dict[str, Tensor], layers: int, pairs: bool) -> dict[str, Tensor]:
    """Their weights under our names; ours keep queries, keys and values together."""
    names = {
        "0.embedding.weight": ["bert.embeddings.word_embeddings.weight"],
        "1.embedding.weight": ["bert.embeddings.position_embeddings.weight"],
        "1.segment_embedding.weight": ["bert.embeddings.token_type_embeddings.weight"],
        f"{layers + 4}.bias.bias": ["cls.predictions.bias"],
    }
    pieces = {
        "1.norm": ["bert.embeddings.LayerNorm"],
        f"{layers + 2}.dense": ["cls.predictions.transform.dense"],
        f"{layers + 2}.norm": ["cls.predictions.transform.LayerNorm"],
    }
    if pairs:
        pieces[f"{layers + 2}.pooler"] = ["bert.pooler.dense"]
        pieces[f"{layers + 4}.pair"] = ["cls.seq_relationship"]
    for layer in range(layers):
        for ours, parts in BLOCK.items():
            pieces[f"{layer + 2}.{ours}"] = [f"bert.encoder.layer.{layer}.{p}" for p in parts]
    for ours, parts in pieces.items():
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = [f"{part}.{kind}" for part in parts]
    return {
        f"layers.{ours}": torch.cat([theirs[part] for part in parts])
        for ours, parts in names.items()
    }


def ours_of(theirs: Any, pairs: bool) -> Transformer:
    config = ModelConfig(**SHAPE, pair_head=pairs)
    model = Transformer(stages(config, 0, ("segments", "visibility", "selected")))
    model.load_state_dict(from_bert(theirs.state_dict(), 3, pairs))
    assert parameter_count(config) == theirs.num_parameters()
    return model.eval()


@torch.no_grad()
def test_bert_gives_the_scores_of_transformers_with_padding_and_segments() -> None:
    theirs = shaken(BertForPreTraining(THEIRS))
    ours = ours_of(theirs, pairs=True)
    selected = torch.stack([1 + torch.randperm(int(n) - 1, generator=DRAW)[:4] for n in LENGTHS])
    selected = torch.cat([torch.zeros(3, 1, dtype=torch.int64), selected], dim=1)
    scores, pair = ours((TOKENS, SEGMENTS, -REAL.long(), selected))
    wanted = theirs(TOKENS, attention_mask=REAL.long(), token_type_ids=SEGMENTS)
    logits = wanted.prediction_logits.gather(1, selected[..., None].expand(-1, -1, 97))
    assert (scores - logits).abs().max() <= 1e-5
    assert (pair - wanted.seq_relationship_logits).abs().max() <= 1e-5


@torch.no_grad()
def test_bert_alone_scores_every_place_of_a_single_segment() -> None:
    theirs = shaken(BertForMaskedLM(THEIRS))
    scores = ours_of(theirs, pairs=False)(TOKENS)
    assert (scores - theirs(TOKENS).logits).abs().max() <= 1e-5
