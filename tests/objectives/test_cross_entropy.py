"""Against `torch.nn.functional.cross_entropy`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.objective_kinds import made
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from dslm.objectives import cross_entropy as module
from dslm.objectives.batch import IGNORE
from dslm.objectives.cross_entropy import cross_entropy
from dslm.sampling.stream import Samples


def draw(rows: int = 3, positions: int = 7, vocabulary: int = 19) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(rows, positions, vocabulary, generator=generator) * 3
    return scores, torch.randint(vocabulary, (rows, positions), generator=generator)


def ours(scores: Tensor, labels: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Loss and gradient of scores, which stay as they are."""
    leaf = scores.clone().requires_grad_()
    loss = cross_entropy(leaf * 1, labels)  # a product, as a leaf may not be overwritten
    (loss * scale).backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


def theirs(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The same by torch."""
    leaf = scores.float().clone().requires_grad_()
    loss = F.cross_entropy(leaf.flatten(0, 1), labels.flatten(), reduction="sum")
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


def with_holes(labels: Tensor) -> Tensor:
    labels = labels.clone()
    labels[0, 2:5] = IGNORE
    labels[2, :] = IGNORE
    return labels


def test_loss_and_gradient_are_those_of_torch() -> None:
    scores, labels = draw()
    (loss, gradient), (expected, right) = ours(scores, labels), theirs(scores, labels)
    assert loss == pytest.approx(float(expected), rel=1e-6)
    assert torch.allclose(gradient, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weights_and_smoothing_are_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, weighted: bool, smoothing: float
) -> None:
    scores, labels = draw()
    labels = with_holes(labels)
    weights = torch.linspace(0.1, 3, 19) if weighted else None
    leaf, other = (scores.clone().requires_grad_() for _ in range(2))
    monkeypatch.setattr(module, "CHUNK", 40)
    loss = cross_entropy(leaf * 1, labels, weights, smoothing)
    flat, asked = other.flatten(0, 1), labels.flatten()
    expected = F.cross_entropy(flat, asked, weights, reduction="sum", label_smoothing=smoothing)
    (gradient,), (right,) = (
        torch.autograd.grad(*pair) for pair in ((loss, leaf), (expected, other))
    )
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert torch.allclose(gradient, right, rtol=0, atol=1e-6)


def test_ignored_labels_count_for_nothing_whatever_their_scores() -> None:
    scores, labels = draw()
    labels = with_holes(labels)
    (loss, gradient), (expected, right) = ours(scores, labels), theirs(scores, labels)
    assert loss == pytest.approx(float(expected), rel=1e-6)
    assert torch.allclose(gradient, right, rtol=0, atol=1e-6)
    scores[labels == IGNORE] = torch.inf
    assert torch.equal(ours(scores, labels)[0], loss)
    assert torch.equal(ours(scores, labels)[1], gradient)
    assert not gradient[2].any()
    assert not gradient[0, 2:5].any()


def test_a_batch_without_any_label_is_zero() -> None:
    scores, labels = draw()
    loss, gradient = ours(scores, torch.full_like(labels, IGNORE))
    assert loss == 0
    assert not gradient.any()


def test_micro_batches_of_a_batch_have_its_loss_as_their_sum() -> None:
    scores, labels = draw(rows=6)
    labels[1, 3:] = IGNORE
    labels[4, :] = IGNORE
    whole, gradient = ours(scores, labels)
    parts = [ours(s, y) for s, y in zip(scores.split(2), labels.split(2), strict=True)]
    assert float(whole) == pytest.approx(sum(float(loss) for loss, _ in parts), rel=1e-6)
    assert torch.equal(gradient, torch.cat([part for _, part in parts]))


@pytest.mark.parametrize("chunk", [1, 19, 40, 19 * 20, 19 * 21])
def test_chunks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    scores, labels = draw()
    labels = with_holes(labels)
    whole, gradient = ours(scores, labels)
    monkeypatch.setattr(module, "CHUNK", chunk)
    loss, cut = ours(scores, labels)
    assert float(loss) == pytest.approx(float(whole), rel=1e-6)
    assert torch.equal(gradient, cut)


def test_bfloat16_scores_give_a_float32_loss_near_the_exact_one() -> None:
    scores, labels = draw()
    loss, gradient = ours(scores.bfloat16(), labels)
    expected, right = theirs(scores.bfloat16(), labels)
    assert loss.dtype == torch.float32
    assert loss == pytest.approx(float(expected), rel=1e-6)
    assert gradient.dtype == torch.bfloat16
    assert torch.allclose(gradient.float(), right, rtol=2**-7, atol=1e-6)


def test_huge_scores_overflow_nowhere() -> None:
    scores, labels = draw()
    loss, gradient = ours(scores * 1e4, labels)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_float16_gradients_of_many_places_do_not_underflow() -> None:
    scores, labels = draw(rows=8, positions=1024, vocabulary=64)
    scale, weight = 2.0**16, 1 / (8 * 1024)
    _, gradient = ours(scores.half(), labels, scale * weight)
    _, right = theirs(scores.half(), labels)
    assert torch.allclose(gradient.float() / scale, right * weight, rtol=2e-3, atol=2e-8)
    assert torch.isfinite(gradient).all()
    assert (gradient.gather(-1, labels[..., None]) / scale).abs().max() > 0.9 * weight


def test_without_a_gradient_the_scores_stay_as_they_are() -> None:
    scores, labels = draw()
    before = scores.clone()
    with torch.no_grad():
        loss = cross_entropy(scores, labels)
    mean = F.cross_entropy(scores.flatten(0, 1), labels.flatten())
    assert loss == pytest.approx(float(mean) * labels.numel())
    assert torch.equal(scores, before)


class Largest(TorchDispatchMode):
    """Remembers the largest float32 tensor, and the largest tensor, that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.float32 = self.any = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            is_view = isinstance(tensor, Tensor) and any(
                isinstance(given, Tensor)
                and given.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
                for given in args
            )
            if isinstance(tensor, Tensor) and not is_view:
                self.any = max(self.any, tensor.numel())
                if tensor.dtype == torch.float32:
                    self.float32 = max(self.float32, tensor.numel())
        return made


def test_no_second_copy_of_the_scores_is_ever_made(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = draw(rows=4, positions=64, vocabulary=100)
    outputs = scores.bfloat16().requires_grad_() * 1
    monkeypatch.setattr(module, "CHUNK", 1000)
    with Largest() as largest:
        torch.autograd.grad(cross_entropy(outputs, labels, torch.ones(100), 0.1), outputs)
    assert largest.float32 == 1000
    assert largest.any < scores.numel()


def test_the_watch_sees_the_copy_that_torch_makes() -> None:
    scores, labels = draw(rows=4, positions=64, vocabulary=100)
    with Largest() as largest:
        F.cross_entropy(scores.bfloat16().float().flatten(0, 1), labels.flatten())
    assert largest.float32 == scores.numel()


def test_a_causal_example_is_asked_for_the_next_token() -> None:
    numbers = np.arange(2)
    rows = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=np.uint16)
    inputs, labels = made(sequence=3).batch(Samples(rows, numbers, numbers))
    assert inputs.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert labels.tolist() == [[2, 3, 4], [6, 7, 8]]
    assert inputs.is_contiguous()
    assert labels.is_contiguous()
