"""Encoder–decoders against the T5 and BART of `transformers`, with the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.models import TOKENS, build, shaken, small
from torch import Tensor, nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from dslm.model.attention import Cache
from dslm.model.config import ModelConfig, check_model
from dslm.model.counts import parameter_count
from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

GENERATOR = torch.Generator().manual_seed(1)
SOURCE = torch.randint(3, 97, (3, 40), generator=GENERATOR)
TARGET = torch.randint(3, 97, (3, 37), generator=GENERATOR)
REAL = torch.arange(40) < torch.tensor([[40], [11], [1]])
SHAPE = {"encoder_layers": 2, "layers": 3, "heads": 6, "width": 48, "sequence": 40}
EXTRAS = ("visibility", "targets")
T5_SHAPE = {
    **SHAPE,
    "vocabulary": 97,
    "feed_forward": 64,
    "positions": "relative",
    "relative_buckets": 8,
    "relative_distance": 20,
    "norm": "rms",
    "norm_epsilon": 1e-6,
    "bias": False,
    "attention_scale": False,
}
T5_KINDS = {
    "T5": {"activation": "relu", "head_scale": True},
    "T5 1.1": {"activation": "geglu", "tied": False},
}
BART_SHAPE = {
    **SHAPE,
    "vocabulary": 97,
    "feed_forward": 64,
    "embedding_norm": True,
    "norm_position": "post",
    "activation": "gelu",
}
Names = dict[str, list[str]]


def merged(ours: Transformer, theirs: dict[str, Tensor], names: Names) -> None:
    """Give our model their weights; `names` has what of theirs stands one under the other."""
    ours.layers.load_state_dict(
        {name: torch.cat([theirs[one] for one in parts]) for name, parts in names.items()}
    )


def with_kinds(names: Names, kinds: tuple[str, ...]) -> Names:
    return {
        f"{k}.{kind}": [f"{one}.{kind}" for one in v] for k, v in names.items() for kind in kinds
    }


def from_t5(tied: bool, gated: bool) -> Names:
    names = {"0.embedding": ["shared"]}
    enter = ["wi_0", "wi_1"] if gated else ["wi"]
    for stack, first, count in (("encoder", 1, 2), ("decoder", 6, 3)):
        attention = f"{stack}.block.0.layer.0.SelfAttention"
        names[f"{first}.relative.embedding"] = [f"{attention}.relative_attention_bias"]
        for block in range(count):
            ours, theirs = first + 1 + block, f"{stack}.block.{block}.layer"
            parts = {"attention": "0.SelfAttention", "cross_attention": "1.EncDecAttention"}
            for own, their in list(parts.items())[: 1 if stack == "encoder" else 2]:
                prefix = f"{theirs}.{their}"
                q, k, v, o = (f"{prefix}.{letter}" for letter in "qkvo")
                crossing = {f"{ours}.{own}.ask": [q], f"{ours}.{own}.remember": [k, v]}
                together = {f"{ours}.{own}.project": [q, k, v]}
                names |= crossing if own == "cross_attention" else together
                names |= {f"{ours}.{own}.output": [o]}
                names[f"{ours}.{own}_norm"] = [f"{theirs}.{their[0]}.layer_norm"]
            last = 1 if stack == "encoder" else 2
            dense = f"{theirs}.{last}.DenseReluDense"
            names[f"{ours}.feed_forward.enter"] = [f"{dense}.{part}" for part in enter]
            names[f"{ours}.feed_forward.leave"] = [f"{dense}.wo"]
            names[f"{ours}.feed_forward_norm"] = [f"{theirs}.{last}.layer_norm"]
        names[f"{first + 1 + count}.norm"] = [f"{stack}.final_layer_norm"]
    return with_kinds(names | ({} if tied else {"11.unembedding": ["lm_head"]}), ("weight",))


def from_bart() -> Names:
    tables, names = {"0.embedding": ["shared"]}, {}
    for stack, first, count in (("encoder", 1, 2), ("decoder", 5, 3)):
        tables[f"{first}.embedding"] = [f"{stack}.embed_positions"]
        names[f"{first}.norm"] = [f"{stack}.layernorm_embedding"]
        for block in range(count):
            ours, theirs = first + 1 + block, f"{stack}.layers.{block}"
            own, cross = f"{theirs}.self_attn", f"{theirs}.encoder_attn"
            names |= {
                f"{ours}.attention.project": [f"{own}.{letter}_proj" for letter in "qkv"],
                f"{ours}.attention.output": [f"{own}.out_proj"],
                f"{ours}.attention_norm": [f"{own}_layer_norm"],
                f"{ours}.feed_forward.enter": [f"{theirs}.fc1"],
                f"{ours}.feed_forward.leave": [f"{theirs}.fc2"],
                f"{ours}.feed_forward_norm": [f"{theirs}.final_layer_norm"],
            }
            if stack == "decoder":
                names |= {
                    f"{ours}.cross_attention.ask": [f"{cross}.q_proj"],
                    f"{ours}.cross_attention.remember": [f"{cross}.k_proj", f"{cross}.v_proj"],
                    f"{ours}.cross_attention.output": [f"{cross}.out_proj"],
                    f"{ours}.cross_attention_norm": [f"{cross}_layer_norm"],
                }
    return with_kinds(tables, ("weight",)) | with_kinds(names, ("weight", "bias"))


def check(config: ModelConfig, theirs: Any, weights: dict[str, Tensor], names: Names) -> None:
    """Whether logits are theirs, with padding in the source and without it."""
    ours = Transformer(stages(config, 0, EXTRAS)).eval()
    merged(ours, weights, names)
    for real in (torch.ones_like(REAL), REAL):
        with torch.no_grad():
            scores = ours((SOURCE, -real.long(), TARGET))
            known = theirs(SOURCE, attention_mask=real.long(), decoder_input_ids=TARGET).logits
        assert (scores - known).abs().max() <= 1e-5
        assert known.std() > 0.1
    assert parameter_count(config) == sum(weight.numel() for weight in ours.parameters())


@pytest.mark.parametrize("kind", T5_KINDS)
def test_t5_gives_the_logits_of_transformers(kind: str) -> None:
    torch.manual_seed(0)
    config = ModelConfig(**T5_SHAPE, **T5_KINDS[kind])
    theirs = T5ForConditionalGeneration(
        T5Config(
            vocab_size=97,
            d_model=48,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_decoder_layers=3,
            num_heads=6,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=20,
            feed_forward_proj="gated-gelu" if config.gated else "relu",
            tie_word_embeddings=config.tied,
            initializer_factor=0.5,  # with 1 logits are tens
        )
    )
    if not config.tied:  # `transformers` unties a head only where a file has two
        theirs.lm_head.weight = nn.Parameter(torch.randn(97, 48) * 0.1)
    shaken(theirs)
    check(config, theirs, theirs.state_dict(), from_t5(config.tied, config.gated))
    assert parameter_count(config) == theirs.num_parameters()


def test_bart_gives_the_logits_of_transformers() -> None:
    torch.manual_seed(0)
    theirs = shaken(
        BartForConditionalGeneration(
            BartConfig(
                vocab_size=97,
                d_model=48,
                encoder_layers=2,
                decoder_layers=3,
                encoder_attention_heads=6,
                decoder_attention_heads=6,
                encoder_ffn_dim=64,
                decoder_ffn_dim=64,
                max_position_embeddings=40,
            )
        )
    )
    weights = dict(theirs.model.state_dict())
    for stack in ("encoder", "decoder"):  # the first two positions of BART are never used
        name = f"{stack}.embed_positions.weight"
        weights[name] = weights[name][2:]
    check(ModelConfig(**BART_SHAPE), theirs, weights, from_bart())
    assert parameter_count(ModelConfig(**BART_SHAPE)) == theirs.num_parameters() - 2 * 2 * 48


KINDS = {
    "T5": {**T5_SHAPE, **T5_KINDS["T5"]},
    "BART": BART_SHAPE,
    "Vaswani": {**BART_SHAPE, "positions": "sinusoidal", "activation": "relu"},
    "rotary in groups": {
        **BART_SHAPE,
        "positions": "rotary",
        "key_value_heads": 2,
        "activation": "swiglu",
        "tied": False,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_cached_scores_are_those_of_the_whole_target(kind: str) -> None:
    config = ModelConfig(**KINDS[kind])
    model = shaken(Transformer(stages(config, 0, EXTRAS)))
    source = SOURCE, -REAL.long()
    with torch.no_grad():
        whole = model((*source, TARGET))
        caches = [Cache(config, 3, 37, whole) for _ in range(config.layers)]
        parts = [model((*source, TARGET[:, :5]), caches)]
        reader = model.layers["0"].register_forward_pre_hook(lambda _, given: read.append(given))
        read: list[Any] = []
        parts += [model(ids, caches) for ids in TARGET[:, 5:].split(1, dim=1)]
        reader.remove()
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
    ids = [given for given in read if not given[0].is_floating_point()]
    assert len(ids) == 32, "the source is read again"


def test_a_source_of_padding_alone_gives_finite_scores() -> None:
    model = Transformer(stages(ModelConfig(**KINDS["BART"]), 0, EXTRAS)).eval()
    assert model((SOURCE, torch.zeros_like(SOURCE), TARGET)).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputed_activations_give_the_same_gradients(kind: str, dropout: float) -> None:
    found = []
    for recompute in (False, True):
        config = ModelConfig(**KINDS[kind], recompute=recompute, dropout=dropout)
        model = Transformer(stages(config, 0, (*EXTRAS, DROPOUT_KEYS)))
        scores = model((SOURCE, -REAL.long(), TARGET, torch.tensor([3, -5, 7])))
        torch.nn.functional.cross_entropy(scores.flatten(0, 1), TARGET.flatten()).backward()
        found.append({name: one.grad for name, one in model.named_parameters()})
    assert all(one is not None and one.any() for one in found[0].values())
    for name, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][name], rtol=1e-5, atol=1e-7), name


@pytest.mark.parametrize("positions", ["learned", "relative", "rotary"])
def test_one_stack_may_have_every_kind_of_positions(positions: str) -> None:
    config = small(positions=positions)
    model = shaken(build(config))
    with torch.no_grad():
        whole = model(TOKENS)
        caches = [Cache(config, 2, 16, whole) for _ in range(config.layers)]
        parts = [model(ids, caches) for ids in TOKENS.split([9, 1, 6], dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
    assert parameter_count(config) == sum(weight.numel() for weight in model.parameters())


MISTAKES = {
    "model.segments": {"segments": 2},
    "model.bottleneck_length": {"bottleneck_length": 4},
    "model.block": {"block": "lstm", "heads": None, "positions": "none"},
    "model.head_scale": {"head_scale": True, "tied": False},
    "model.relative_distance": {"positions": "relative", "relative_distance": 16},
}


@pytest.mark.parametrize("key", MISTAKES)
def test_what_cannot_be_built_is_refused(key: str) -> None:
    problems = check_model(small(encoder_layers=2, **MISTAKES[key]))
    assert [one.where for one in problems] == [key]
    assert not check_model(small(encoder_layers=2))
