"""Compiled blocks: a graph for each kind, none left halfway, the numbers of plain ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from helpers.models import KEYS, KINDS, LLAMA, RECURRENT, rows_of_every_kind, small
from torch import Tensor
from torch._dynamo.utils import counters

from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.experts import Experts
from dslm.model.float8 import Float8Config
from dslm.model.float8_linear import use_float8
from dslm.model.lora import LoraConfig
from dslm.model.quantize import quantize
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.model.tuning import ALL, Tuning
from dslm.parallel.compilation import compile_blocks, notice
from dslm.quantization.config import QuantizationConfig

pytestmark = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor"  # Dynamo asks for it
)
DRAW = torch.Generator().manual_seed(5)
SEEN = rows_of_every_kind()
PADDED = -(SEEN != 0).long()
PLACES = torch.arange(16).expand(6, 16).contiguous()
RELATIVE: dict[str, Any] = {
    "positions": "relative",
    "relative_buckets": 8,
    "relative_distance": 12,
    "norm": "rms",
}
BERT: dict[str, Any] = {
    "attention": "full",
    "norm_position": "post",
    "segments": 2,
    "transform": True,
    "pair_head": True,
}
DOCUMENTS = ("visibility", "position_ids", DROPOUT_KEYS)


def drawn(below: int, *shape: int) -> Tensor:
    return torch.randint(below, shape, generator=DRAW)


def inputs(extras: tuple[str, ...], padded: bool) -> Any:
    """Tokens of a batch of six rows, and its extras."""
    known = {
        "segments": drawn(2, 6, 16),
        "visibility": PADDED if padded else SEEN,
        "position_ids": PLACES,
        "selected": drawn(16, 6, 5),
        "targets": drawn(50, 6, 9),
        DROPOUT_KEYS: drawn(10**6, 6),
    }
    tokens = drawn(50, 6, 16)
    return (tokens, *(known[name] for name in extras)) if extras else tokens


USES: dict[str, tuple[dict[str, Any], tuple[str, ...], int]] = {
    **{f"causal, {kind}": (changes, (), 1) for kind, changes in KINDS.items()},
    "documents and dropout": ({"dropout": 0.1}, DOCUMENTS, 1),
    "rotary documents and dropout": ({**LLAMA, "dropout": 0.1}, DOCUMENTS, 1),
    "recomputed documents and dropout": ({"dropout": 0.1, "recompute": True}, DOCUMENTS, 1),
    "recomputed selectively": ({"recompute": "selective", "dropout": 0.1}, DOCUMENTS, 1),
    "recomputed, every other block": ({"recompute": 2}, (), 2),
    "masked and pairs": (
        {**BERT, "dropout": 0.1},
        ("segments", "visibility", "selected", DROPOUT_KEYS),
        2,
    ),
    "denoising": ({}, ("visibility", "selected"), 2),
    "relative": ({**RELATIVE, "recompute": True}, ("visibility", "selected"), 2),
    "encoder and decoder": (
        {"encoder_layers": 2, "dropout": 0.1},
        ("visibility", "targets", DROPOUT_KEYS),
        2,
    ),
    "relative encoder and decoder": (
        {**RELATIVE, "encoder_layers": 2, "attention_scale": False},
        ("visibility", "targets"),
        2,
    ),
    "autoencoder": (
        {"attention": "full", "bottleneck_length": 4, "decoder_layers": 1},
        ("visibility",),
        2,
    ),
}
"""Shapes, extras and kinds of blocks of everything that a run trains."""


@pytest.fixture(autouse=True)
def tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are made and run as they are, which takes no compiler."""
    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


def first(outputs: Any) -> Tensor:
    found: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
    return found


def learn(model: Transformer, batch: Any) -> tuple[Tensor, list[Tensor | None]]:
    """Outputs and gradients."""
    model.zero_grad()
    outputs = first(model(batch))
    torch.autograd.backward(outputs.square().mean())
    return outputs.detach(), [weight.grad for weight in model.parameters()]


def same(one: Any, other: Any) -> bool:
    """But for the order in which gradients of several blocks are added up."""
    pairs = zip([one[0], *one[1]], [other[0], *other[1]], strict=True)
    return all(a is b is None or torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in pairs)


@pytest.mark.parametrize("use", USES)
def test_a_graph_serves_all_equal_blocks_and_gives_what_they_give(use: str) -> None:
    changes, extras, kinds = USES[use]
    config = small(layers=3, **changes)
    plain, compiled = (Transformer(stages(config, 0, extras)) for _ in range(2))
    compile_blocks(compiled)
    padded = config.attention == "full" or config.encoder_layers > 0
    for _ in range(3):
        batch = inputs(extras, padded)
        assert same(learn(plain, batch), learn(compiled, batch))
        assert graphs() == kinds
    plain.eval()
    compiled.eval()
    for _ in range(2):
        batch = inputs(extras, padded)
        with torch.no_grad():
            assert torch.equal(first(plain(batch)), first(compiled(batch)))
        assert graphs() == 2 * kinds
    assert not counters["graph_break"]


def test_experts_are_compiled_in_bf16() -> None:
    """The one type in which torch compiles products of groups, see `check_experts`."""
    layers = stages(small(layers=3, experts=4, **LLAMA), 0)
    plain, compiled = (Transformer(layers).bfloat16() for _ in range(2))
    for part in compiled.modules():
        if isinstance(part, Experts):
            part.scale, part.measured = torch.ones(()), torch.zeros(7)
    compile_blocks(compiled)
    for _ in range(3):
        batch = drawn(50, 6, 16)
        assert same(learn(plain, batch), learn(compiled, batch))
        assert graphs() == 1
    passes = [part.measured[0] for part in compiled.modules() if isinstance(part, Experts)]
    assert passes == [3, 3, 3]
    assert not counters["graph_break"]


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    "tuning", [Tuning(None, 1.0, LoraConfig(rank=2)), Tuning("embeddings", 1.0), ALL]
)
def test_layers_that_learn_nothing_are_no_hindrance(tuning: Tuning, recompute: bool) -> None:
    layers = stages(small(layers=4, recompute=recompute), 0, (), tuning)
    plain, compiled = Transformer(layers), Transformer(layers)
    compile_blocks(compiled)
    for _ in range(2):
        batch = drawn(50, 6, 16)
        assert same(learn(plain, batch), learn(compiled, batch))
    # The first block may have to find gradients of its weights alone.
    assert graphs() <= 2
    assert not counters["graph_break"]


LENGTHS = [(10, 3), (12, 3), (7, 7), (16, 5), (6, 6), (9, 2)]
"""Tokens of a row, and how many of them are selected, in one batch after the other."""


@pytest.mark.parametrize("changes", [{"dropout": 0.1}, {**LLAMA, "dropout": 0.1}, RELATIVE])
def test_one_graph_serves_rows_of_every_length(changes: dict[str, Any]) -> None:
    extras = ("visibility", "selected", *([DROPOUT_KEYS] if "dropout" in changes else []))
    layers = stages(small(layers=3, attention="full", **changes), 0, extras)
    plain, compiled = Transformer(layers), Transformer(layers)
    compile_blocks(compiled, varying=True)
    for length, count in LENGTHS:
        tokens, seen = drawn(50, 6, length), -torch.ones(6, length, dtype=torch.int64)
        keys = [drawn(10**6, 6)] if "dropout" in changes else []
        batch = (tokens, seen, drawn(length, 6, count), *keys)
        assert same(learn(plain, batch), learn(compiled, batch))
        assert graphs() == 2
    assert not counters["graph_break"]


def test_an_encoder_and_a_decoder_may_have_rows_of_every_length() -> None:
    layers = stages(small(encoder_layers=2, **RELATIVE), 0, ("visibility", "targets"))
    plain, compiled = Transformer(layers), Transformer(layers)
    compile_blocks(compiled, varying=True)
    for length, count in LENGTHS:
        seen = -torch.ones(6, length, dtype=torch.int64)
        batch = drawn(50, 6, length), seen, drawn(50, 6, count)
        assert same(learn(plain, batch), learn(compiled, batch))
        assert graphs() == 2


@pytest.mark.parametrize("recompute", [False, True])
def test_blocks_that_round_are_compiled_and_measured(recompute: bool) -> None:
    layers = stages(small(recompute=recompute), 0)
    plain, compiled = Transformer(layers), Transformer(layers)
    quantizers = [quantize(model, QuantizationConfig(scheme="w8a8")) for model in (plain, compiled)]
    compile_blocks(compiled, quantizer=quantizers[1])
    for number in range(4):
        sums = []
        for quantizer in quantizers:
            assert quantizer is not None
            quantizer.collect = number % 2 == 1
        batch = drawn(50, 6, 16)
        assert same(learn(plain, batch), learn(compiled, batch))
        sums = [quantizer.pop_sums() for quantizer in quantizers if quantizer is not None]
        assert torch.equal(*sums)
        assert bool(sums[0].any()) == (number % 2 == 1)
        assert graphs() == 1
    for quantizer in quantizers:
        assert quantizer is not None
        quantizer.collect = quantizer.on = False
    assert same(learn(plain, batch), learn(compiled, batch))
    assert graphs() == 2


@pytest.mark.parametrize("recompute", [False, True])
def test_blocks_with_experts_are_compiled(recompute: bool) -> None:
    layers = stages(small(experts=4, recompute=recompute), 0, ("visibility",))
    plain, compiled = (Transformer(layers).bfloat16() for _ in range(2))
    compile_blocks(compiled)
    for _ in range(2):
        batch = drawn(50, 6, 16), SEEN
        assert same(learn(plain, batch), learn(compiled, batch))
        assert graphs() == 1


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is not installed")
@pytest.mark.parametrize("recipe", ["tensorwise", "rowwise"])
def test_blocks_in_8_bit_floats_are_compiled(recipe: Any) -> None:
    layers = stages(small(), 0)
    plain, compiled = (Transformer(layers).bfloat16() for _ in range(2))
    for model in (plain, compiled):
        use_float8(model, Float8Config(recipe=recipe, narrowest=16))
    compile_blocks(compiled)
    for _ in range(2):
        batch = drawn(50, 3, 15)
        assert same(learn(plain, batch), learn(compiled, batch))
        assert graphs() == 1


def test_more_graphs_than_a_run_needs_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslm.parallel.compilation.GRAPHS", 2)
    model = Transformer(stages(small(), 0))
    compile_blocks(model)
    for rows in (2, 3):
        model(drawn(50, rows, 16))
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):
        model(drawn(50, 4, 16))


def test_recurrent_blocks_are_left_as_they_are() -> None:
    model = Transformer(stages(small(**RECURRENT["gru"]), 0))
    compile_blocks(model)
    model(drawn(50, 2, 16))
    assert graphs() == 0


def test_what_is_compiled_is_noticed() -> None:
    seen = []

    @contextmanager
    def around() -> Iterator[None]:
        seen.append("begins")
        yield
        seen.append("ends")

    model = Transformer(stages(small(dropout=0.1), 0, (DROPOUT_KEYS,)))
    compile_blocks(model)
    notice(around)
    for _ in range(2):
        model((drawn(50, 2, 16), KEYS))
        assert seen == ["begins", "ends"]
    torch._dynamo.callback.callback_handler.clear()
