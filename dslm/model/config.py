"""The shape of a model, and what follows from it by arithmetic: parameters and floating-point work.

Nothing here imports torch: a shape is checked and counted before anything expensive starts.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]

GATES = {"lstm": 4, "gru": 3}
"""The recurrent blocks, and how many vectors of the model's width each computes for a token."""

NO_BOTTLENECK: dict[str, Any] = {
    "bottleneck_length": 0,
    "bottleneck_width": None,
    "decoder_layers": None,
    "output": "scores",
}
"""What a model has that is no autoencoder."""

ONE_STACK: dict[str, Any] = {**NO_BOTTLENECK, "encoder_layers": 0}
"""What a model has that is one stack."""


NO_CLASSES: dict[str, Any] = {"classes": 0, "pooler": False, "class_bias": None}
"""What a model has that scores token ids."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ModelConfig:
    """The shape of a Transformer of one stack (Vaswani et al. 2017) or of recurrent layers.

    With `bottleneck_length` there is a bottleneck and another stack behind it: an autoencoder. With
    `encoder_layers` there is an encoder before it, and every block attends to what that gives.
    """

    block: Literal["attention", "lstm", "gru"] = "attention"
    """How tokens reach each other: attention and feed-forward, or a recurrent layer (Hochreiter &
    Schmidhuber 1997; Cho et al. 2014)."""
    layers: Count
    """Number of blocks; with `encoder_layers` those of the decoder."""
    encoder_layers: Annotated[int, Field(ge=0)] = 0
    """Blocks of an encoder, which reads a source; the decoder's attend to it. 0 = one stack."""
    heads: Count | None = None
    """Attention heads; must divide `width` without `head_width`; null only for recurrent blocks."""
    head_width: Count | None = None
    """Width of one attention head; null = `width` / `heads`."""
    width: Count
    """Width of the residual stream."""
    sequence: Count
    """Longest sequence in tokens: the training window and the attention's reach."""
    attention: Literal["causal", "full"] = "causal"
    """Which tokens each one attends to by default: itself and those before it, or all."""
    vocabulary: Count | None = None
    """Number of token ids; null takes the tokenizer's size from the training data."""
    key_value_heads: Count | None = None
    """Heads of keys and values (grouped-query attention); must divide `heads`; null = `heads`."""
    feed_forward: Count | None = None
    """Inner width of the feed-forward layer; null = 4 × `width`, for gated ones 8/3 × `width`
    rounded up to a multiple of 64."""
    experts: Annotated[int, Field(ge=0)] = 0
    """Feed-forward layers of a block, of which a router chooses some for each token (Shazeer et al.
    2017); they have no biases. 0 = a single one."""
    experts_per_token: Count = 2
    """How many experts compute each token (only with `experts`)."""
    experts_normalized: bool = True
    """Whether the probabilities that weight a token's experts are divided by their sum (Mixtral);
    must be false for a single one, whose router would learn nothing (only with `experts`)."""
    router_balance_loss: Annotated[float, Field(ge=0)] = 0.01
    """Weight of the loss that spreads tokens over the experts of each block (only with
    `experts`)."""
    router_z_loss: Annotated[float, Field(ge=0)] = 0.001
    """Weight of the loss that keeps the router's scores small (only with `experts`)."""
    positions: Literal["learned", "sinusoidal", "rotary", "relative", "none"] = "learned"
    """How a token knows its position; relative adds to each attention score a number for the
    distance, learned for each head and shared by all blocks of a stack (T5)."""
    relative_buckets: Annotated[int, Field(ge=4, multiple_of=4)] = 32
    """Kinds of distances that have such numbers (only for `positions` = relative)."""
    relative_distance: Annotated[int, Field(ge=8)] = 128
    """Distance in tokens from which on all are of one kind (only for `positions` = relative)."""
    rotary_base: Annotated[float, Field(gt=1)] = 10000.0
    """Base of the rotary wavelengths (only for `positions` = rotary)."""
    segments: Annotated[int, Field(ge=0)] = 0
    """Kinds of segments that have an embedding each (BERT: 2); 0 = none."""
    embedding_norm: bool = False
    """Whether the sum of the embeddings is normalized (BERT)."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm or RMSNorm."""
    norm_position: Literal["pre", "post"] = "pre"
    """Normalize before each sublayer (GPT-2) or after its residual sum (the original)."""
    norm_epsilon: Annotated[float, Field(gt=0)] = 1e-5
    """Added to the variance before its root is taken."""
    activation: Literal["gelu", "gelu_tanh", "relu", "relu2", "swiglu", "geglu"] = "gelu_tanh"
    """Nonlinearity of the feed-forward layer; gelu_tanh is GPT-2's approximation, which geglu
    uses too; relu2 is the square of relu (So et al. 2021); swiglu and geglu are gated (Shazeer
    2020)."""
    attention_scale: bool = True
    """Whether attention scores are divided by the root of the head's width (T5: no)."""
    qk_norm: bool = False
    """Whether RMSNorm, with a scale for each place of a head, normalizes every query and key before
    they meet (Henry et al. 2020; Dehghani et al. 2023; Qwen3)."""
    bias: bool = True
    """Whether linear and recurrent layers and LayerNorm add a bias."""
    tied: bool = True
    """Whether the output head shares the token embedding's weight."""
    head_scale: bool = False
    """Whether a tied head divides hidden vectors by the root of `width` (T5)."""
    transform: bool = False
    """Whether a layer of its own and a bias for each token id belong to the head (BERT)."""
    pair_head: bool = False
    """Whether two scores for a pair of segments are made from the first token (BERT's pooler)."""
    bottleneck_length: Annotated[int, Field(ge=0)] = 0
    """Vectors that a row is squeezed into behind `layers` blocks and restored from by others; must
    divide `sequence`; 0 = none, a plain model."""
    bottleneck_width: Count | None = None
    """Width of these vectors; null = `width` (only with `bottleneck_length`)."""
    decoder_layers: Count | None = None
    """Blocks behind the code; null = `layers` (only with `bottleneck_length`)."""
    output: Literal["scores", "vectors"] = "scores"
    """What is made of the last hidden vectors: scores of all token ids, or a vector to be compared
    with the token's embedding (only with `bottleneck_length`)."""
    classes: Annotated[int, Field(ge=0)] = 0
    """Classes of a task that are scored instead of token ids; filled in from the data."""
    pooler: bool = False
    """Whether a layer of its own comes before the scores of the classes (BERT's pooler; only for
    `attention` = full)."""
    class_bias: bool | None = None
    """Whether a number is added to the score of each class; null = for `attention` = full."""
    dropout: Share = 0.0
    """Share of activations dropped in training: embeddings, attention weights, residual sums."""
    initialization: Annotated[float, Field(gt=0)] = 0.02
    """Standard deviation of the matrices at the start; residual outputs get it divided by
    √(2 × `layers`), embeddings at most 0.3 / √`width` so that the first loss is ln(vocabulary).
    Recurrent layers have a rule of their own."""
    zero_output: bool = False
    """Whether residual outputs begin at zero instead, so that at first a block changes nothing."""
    recompute: Literal["selective"] | Annotated[int, Field(ge=2)] | bool = False
    """Which activations are computed again in the backward pass: true = those of all blocks, about
    a third more work and far less memory; a number N = those of every N-th block; selective = what
    is cheap of every block, all but matrix products and attention (not at ZeRO-3)."""

    @property
    def recurrent(self) -> bool:
        """Whether the blocks are recurrent layers."""
        return self.block in GATES

    @property
    def key_width(self) -> int:
        """Width of a query, a key or a value of one attention head (E)."""
        return self.head_width or self.width // (self.heads or 1)

    @property
    def output_deviation(self) -> float:
        """Standard deviation at the start of what is added to the residual stream."""
        return 0.0 if self.zero_output else self.initialization / math.sqrt(2 * self.layers)

    @property
    def query_width(self) -> int:
        """Width of the queries of all heads, and of what attention mixes for them."""
        return self.key_width * (self.heads or 1)

    @property
    def group_width(self) -> int:
        """Width of the keys of all heads that have their own, and of the values."""
        return self.key_width * self.query_groups

    @property
    def query_groups(self) -> int:
        """Number of key/value heads."""
        return self.key_value_heads or self.heads or 1

    @property
    def gated(self) -> bool:
        """Whether half of the feed-forward layer's first map is a gate of the other half."""
        return self.activation in ("swiglu", "geglu")

    @property
    def encoder(self) -> ModelConfig:
        """The shape of the encoder alone: a stack that sees the whole source."""
        return replace(self, layers=self.encoder_layers, encoder_layers=0, attention="full")

    @property
    def decoder(self) -> ModelConfig:
        """The shape of what comes behind the encoder; the model itself if there is none."""
        return replace(self, attention="causal") if self.encoder_layers else self

    def shared(self, ranks: int) -> ModelConfig:
        """The shape of what one of some ranks holds that share each block; the rest is whole."""
        if ranks == 1:
            return self
        return replace(
            self,
            heads=(self.heads or 1) // ranks,
            head_width=self.key_width,
            key_value_heads=self.query_groups // ranks,
            feed_forward=self.inner_width // ranks,
        )

    @property
    def inner_width(self) -> int:
        """Inner width of the feed-forward layer."""
        if self.feed_forward is not None:
            return self.feed_forward
        return 64 * math.ceil(self.width / 24) if self.gated else 4 * self.width

    @property
    def narrow_width(self) -> int:
        """Width of a vector of the code."""
        return self.bottleneck_width or self.width

    @property
    def decoder_blocks(self) -> int:
        """Number of blocks behind the code."""
        return (self.decoder_layers or self.layers) if self.bottleneck_length else 0

    @property
    def scores(self) -> int:
        """How many scores a position gets: one for each token id, or for each class."""
        return self.classes or self.size

    @property
    def pooled(self) -> bool:
        """Whether a layer of its own comes before the scores of the classes."""
        return self.pooler and self.attention == "full"

    @property
    def classes_biased(self) -> bool:
        """Whether a number is added to the score of each class."""
        return self.attention == "full" if self.class_bias is None else self.class_bias

    @property
    def map_inputs(self) -> dict[str, int]:
        """How many inputs the linear maps have that may be rounded, by what decides on it."""
        if self.recurrent or self.experts:
            return {}
        inputs = {"model.width": self.width, "model.feed_forward": self.inner_width}
        if self.head_width:
            inputs["model.head_width × model.heads"] = self.query_width
        if self.bottleneck_length:
            inputs["model.bottleneck_width"] = self.narrow_width
        return inputs

    def recomputed(self, blocks: int) -> int:
        """How many of so many consecutive blocks are computed again as a whole, at least."""
        if self.recompute == "selective":
            return 0
        return blocks // self.recompute if self.recompute else 0

    @property
    def blocks(self) -> int:
        """Number of blocks in all."""
        return self.encoder_layers + self.layers + self.decoder_blocks

    @property
    def reach(self) -> int | None:
        """Tokens a text may have; null = any number, of which a recurrent block keeps a state."""
        return None if self.recurrent and self.positions == "none" else self.sequence

    @property
    def size(self) -> int:
        """The vocabulary's size once it is known (V)."""
        assert self.vocabulary is not None, "the vocabulary is filled in from the data"
        return self.vocabulary
