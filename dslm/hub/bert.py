"""BERT (Devlin et al. 2018) as `transformers` keeps it, with both heads or without the pair's.

Published files often name ``BertForMaskedLM`` and hold the pair's head all the same: it is read
where it is. A pooler without it serves nothing and is left out, but that of an encoder without any
head, which is kept for one of classes.
"""

from __future__ import annotations

from dslm.hub.family import Family, Key, grouped, one
from dslm.hub.variants import of_task, without_head
from dslm.model.block import Block
from dslm.model.embedding import Head, Positions, TokenEmbedding
from dslm.model.heads import OutputBias, PredictionTransform

KEYS = (
    Key("vocab_size", "vocabulary"),
    Key("max_position_embeddings", "sequence", 512),
    Key("hidden_size", "width"),
    Key("num_hidden_layers", "layers"),
    Key("num_attention_heads", "heads"),
    Key("intermediate_size", "feed_forward", written="inner_width"),
    Key("type_vocab_size", "segments", 2),
    Key(
        "hidden_act",
        "activation",
        "gelu",
        {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"},
    ),
    Key("layer_norm_eps", "norm_epsilon", 1e-12),
    Key("initializer_range", "initialization", 0.02),
    Key("tie_word_embeddings", "tied", True),
    Key("hidden_dropout_prob", "dropout", 0.1),
    Key("attention_probs_dropout_prob", "dropout", 0.1),
)

NAMES = {
    TokenEmbedding: {"embedding": one("bert.embeddings.word_embeddings")},
    Positions: {
        "embedding": one("bert.embeddings.position_embeddings"),
        "segment_embedding": one("bert.embeddings.token_type_embeddings"),
        "norm": one("bert.embeddings.LayerNorm"),
    },
    Block: {
        "attention.project": one(
            "bert.encoder.layer.{}.attention.self.query",
            "bert.encoder.layer.{}.attention.self.key",
            "bert.encoder.layer.{}.attention.self.value",
        ),
        "attention.output": one("bert.encoder.layer.{}.attention.output.dense"),
        "attention_norm": one("bert.encoder.layer.{}.attention.output.LayerNorm"),
        "feed_forward.enter": one("bert.encoder.layer.{}.intermediate.dense"),
        "feed_forward.leave": one("bert.encoder.layer.{}.output.dense"),
        "feed_forward_norm": one("bert.encoder.layer.{}.output.LayerNorm"),
    },
    PredictionTransform: {
        "pooler": one("bert.pooler.dense"),
        "dense": one("cls.predictions.transform.dense"),
        "norm": one("cls.predictions.transform.LayerNorm"),
    },
    Head: {"unembedding": one("cls.predictions.decoder")},
    OutputBias: {"bias": one("cls.predictions"), "pair": one("cls.seq_relationship")},
}

FAMILY = Family(
    name="BERT",
    model_type="bert",
    architectures={
        "BertForPreTraining": {"pair_head": True},
        "BertForMaskedLM": {"pair_head": False},
    },
    keys=KEYS,
    ours={
        "attention": "full",
        "positions": "learned",
        "embedding_norm": True,
        "norm": "layer",
        "norm_position": "post",
        "bias": True,
        "transform": True,
    },
    theirs={
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    },
    names=NAMES,
    base="bert.",
    buffers=r"bert\.embeddings\.(position|token_type)_ids|bert\.pooler\.dense\..*",
    holds={"pair_head": "cls.seq_relationship.weight"},
    least={"segments": 1},
    older={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    twins={"cls.predictions.decoder.bias": "cls.predictions.bias"},
    refuse=grouped,
)

VARIANTS = (
    of_task(
        FAMILY,
        "classification",
        "BertForSequenceClassification",
        {"pooler": True, "class_bias": None},
        pooler=one("bert.pooler.dense"),
        classes=one("classifier"),
    ),
    of_task(
        FAMILY,
        "tagging",
        "BertForTokenClassification",
        {"pooler": False, "class_bias": True},
        classes=one("classifier"),
    ),
    of_task(
        FAMILY,
        "questions",
        "BertForQuestionAnswering",
        {"pooler": False, "class_bias": True},
        classes=one("qa_outputs"),
    ),
    without_head(FAMILY, "BertModel", pair_head="bert.pooler.dense.weight"),
)
