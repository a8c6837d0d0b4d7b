"""DeepSpeed's Muon compiled when it is first used, not when ZeRO imports it.

Every run under ZeRO imports the functions of Muon, whatever its optimizer, and decorates them with
`torch.compile`, which loads the whole of torch's compiler: a second and 45 MB for each rank.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def compile_late() -> None:
    """Make functions that DeepSpeed decorates from now on compile at their first call."""
    from deepspeed.runtime import compiler

    compiler.compile = lambda: _late


def _late(function: Callable[P, T]) -> Callable[P, T]:
    @cache
    def compiled() -> Callable[P, T]:
        import torch

        return torch.compile(function)

    @wraps(function)
    def call(*args: P.args, **named: P.kwargs) -> T:
        return compiled()(*args, **named)

    return call
