"""Which token sees which: a rule by hand, documents one by one, and FlexAttention's own form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.models import rows_of_every_kind, small
from torch import Tensor

from dslm.model.block import Block
from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.stages import stages, with_mask, without_mask
from dslm.model.transformer import Transformer
from dslm.model.visibility import attend, block_mask, flexible, sees, visible
from dslm.objectives.batch import position_ids

LENGTHS = [[5, 1, 7, 3], [16], [4, 8]]
"""Documents of the rows; what is left of a row is padding."""
KINDS: dict[str, dict[str, Any]] = {
    "learned": {},
    "sinusoidal": {"positions": "sinusoidal", "norm_position": "post"},
    "rotary, grouped heads": {"positions": "rotary", "key_value_heads": 2},
    "rotary, one group": {"positions": "rotary", "key_value_heads": 1, "norm": "rms"},
}
DRAW = torch.Generator().manual_seed(3)
TOKENS = torch.randint(50, (3, 16), generator=DRAW)


def documents() -> np.ndarray:
    rows = [np.repeat(np.arange(1, len(row) + 1), row) for row in LENGTHS]
    return np.stack([np.pad(row, (0, 16 - row.size)) for row in rows]).astype(np.int64)


def spans() -> list[tuple[int, slice]]:
    """Row and position of each document."""
    ends = [(row, np.cumsum(lengths)) for row, lengths in enumerate(LENGTHS)]
    return [
        (row, slice(int(end - length), int(end)))
        for row, found in ends
        for end, length in zip(found, LENGTHS[row], strict=True)
    ]


def test_a_token_sees_its_document_as_the_rule_says() -> None:
    visibility = rows_of_every_kind()
    mask = sees(visibility)
    assert mask.shape == (6, 1, 16, 16)
    for row, numbers in enumerate(visibility.tolist()):
        for token, own in enumerate(numbers):
            for other, number in enumerate(numbers):
                same = abs(own) == abs(number)
                wanted = same and (number <= 0 or other <= token)
                assert bool(mask[row, 0, token, other]) == wanted


def test_no_row_of_the_mask_is_empty() -> None:
    assert sees(rows_of_every_kind()).any(-1).all()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_documents_in_a_row_give_the_scores_and_gradients_of_each_alone(
    kind: str, causal: bool
) -> None:
    config = small(**KINDS[kind], attention="causal" if causal else "full", initialization=0.1)
    plain = Transformer(stages(config, 0))
    packed = Transformer(stages(config, 0, ("visibility", "position_ids")))
    known = documents()
    visibility = known if causal else -known
    shape = [torch.from_numpy(made) for made in (visibility, position_ids(known))]
    weights = torch.randn(3, 16, 50, generator=DRAW)
    scores = packed((TOKENS, *shape))
    counted = torch.zeros(3, 16, dtype=torch.bool)
    total = torch.zeros(())
    for row, span in spans():
        alone = plain(TOKENS[row : row + 1, span])[0]
        assert (scores[row, span] - alone).abs().max() <= 1e-5
        total = total + (alone * weights[row, span]).sum()
        counted[row, span] = True
    total.backward()
    (scores * weights)[counted].sum().backward()
    for name, weight in packed.named_parameters():
        single = plain.get_parameter(name)
        assert weight.grad is not None
        assert single.grad is not None
        size = single.grad.abs().max().clamp(min=1.0)
        assert (weight.grad - single.grad).abs().max() / size <= 1e-5, name


def test_places_begin_anew_with_every_document() -> None:
    assert position_ids(documents()).tolist() == [
        [0, 1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2],
        list(range(16)),
        [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3],
    ]


@pytest.mark.parametrize("size", [16, 300])
def test_flex_attention_is_given_the_same_rule(size: int) -> None:
    visibility = (
        rows_of_every_kind().repeat_interleave(-(-size // 16), dim=1)[:, :size].contiguous()
    )
    made, mask = block_mask(visibility), sees(visibility)[:, 0]
    every = torch.arange(size)
    for row in range(6):
        rule = made.mask_mod(torch.tensor(row), torch.tensor(0), every[:, None], every)
        assert torch.equal(rule, mask[row])
    # Blocks of 128: one that is left out holds nothing that anybody sees.
    blocks = -(-size // 128)
    whole = torch.zeros(6, blocks * 128, blocks * 128, dtype=torch.bool)
    whole[:, :size, :size] = mask
    wanted = whole.view(6, blocks, 128, blocks, 128).any(4).any(2)
    assert torch.equal(made.to_dense()[:, 0].bool(), wanted)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_flex_attention_gives_what_the_mask_gives(groups: int) -> None:
    numbers = rows_of_every_kind()
    queries = torch.randn(6, 4, 16, 8, generator=DRAW)
    keys, values = torch.randn(2, 6, groups, 16, 8, generator=DRAW)
    plain = attend(queries, keys, values, visible(numbers, 8), None, causal=True)
    blocks = flexible(queries, keys, values, block_mask(numbers), None)
    assert (plain - blocks).abs().max() <= 1e-5


@pytest.mark.parametrize("recompute", [False, True, "selective"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_the_mask_of_a_micro_batch_is_made_once_for_all_blocks_and_both_passes(
    recompute: Any, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(numbers: Tensor, selected: Tensor | None = None) -> Tensor:
        made.append(numbers)
        return sees(numbers, selected)

    monkeypatch.setattr("dslm.model.visibility.sees", counted)
    config = small(layers=6, recompute=recompute, dropout=dropout)
    model = Transformer(stages(config, 0, ("visibility", DROPOUT_KEYS)))
    given = (TOKENS, torch.from_numpy(documents()), torch.arange(3))
    for _ in range(2):
        model(given).sum().backward()
    assert len(made) == 2
    # In a pipeline every stage makes it of the numbers that have travelled.
    value, whole = given, [stage for _, stage in model.calls]
    for own in (whole[:4], whole[4:]):
        value = with_mask(value, own, training=True)
        for stage in own:
            value = stage.apply(model.layers["0" if stage.tied else str(stage.index)], value)
        value = without_mask(value)
        assert all(isinstance(one, Tensor) for one in value)
    assert len(made) == 4
    assert torch.equal(value, model(given))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # Dynamo asks for it
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a .functools.lru_cache.")
@pytest.mark.parametrize("kind", ["learned", "rotary, grouped heads"])
@pytest.mark.parametrize("recompute", [False, True, "selective"])
def test_a_model_with_documents_and_dropout_compiles_whole(kind: str, recompute: Any) -> None:
    torch._dynamo.reset()
    config = small(**KINDS[kind], recompute=recompute, dropout=0.1)
    model = Transformer(stages(config, 0, ("visibility", "position_ids", DROPOUT_KEYS)))
    known = documents()
    given = (torch.from_numpy(known), torch.from_numpy(position_ids(known)), torch.arange(3))
    wanted = model((TOKENS, *given))
    for layer in model.layers.values():
        if isinstance(layer, Block):
            layer.forward = torch.compile(layer.forward, backend="eager", fullgraph=True)  # type: ignore[method-assign]
    found = model((TOKENS, *given))
    assert torch.allclose(found, wanted, atol=1e-6)
    found.sum().backward()
