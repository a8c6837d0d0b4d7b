"""Which class DeepSpeed builds for an ``optimizer`` block, what it takes and what it compiles.

One name has up to three classes: torch's own (``"torch_adam": true``), DeepSpeed's kernel on the
device, and its kernel on the host when the optimizer is offloaded. They take different parameters,
and DeepSpeed finds out only after the model is in memory, so `implementation` repeats its choice
(``DeepSpeedEngine._configure_basic_optimizer``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dslm.parallel.deepspeed_json.schema import FLAG, NUMBER, Block, given
from dslm.parallel.deepspeed_json.value import Many, Number, OneOf

RATE = Number(above=0)
"""A peak learning rate."""

FRACTION = Number(least=0, below=1)


@dataclass(frozen=True)
class Implementation:
    """One optimizer class."""

    name: str
    parameters: Block
    op: str = ""
    """The DeepSpeed op that it compiles just in time, if it does."""


@dataclass(frozen=True)
class Optimizer:
    """One name that ``optimizer.type`` may hold, and its classes."""

    device: Implementation
    host: Implementation
    torch: Implementation | None = None
    elementwise: bool = True
    """Whether ZeRO may cut a weight anywhere, because each number follows its own gradient."""
    tested: bool = True
    """Whether DeepSpeed runs it under ZeRO without ``zero_allow_untested_optimizer``."""
    gpu_only: bool = False


_DECAYED: Block = {"lr": RATE, "weight_decay": NUMBER}
_LION: Block = {**_DECAYED, "betas": Many(of=FRACTION, length=2)}
_MOMENTS: Block = {**_LION, "eps": NUMBER}
_ADAM: Block = {**_MOMENTS, "torch_adam": FLAG, "adam_w_mode": FLAG, "fp32_optimizer_states": FLAG}
_TORCH_ADAM: Block = {**_ADAM, "amsgrad": FLAG, "foreach": FLAG, "fused": FLAG}
_LISTS: Block = {"foreach": FLAG, "fused": FLAG}
_MUON: Block = {
    **_ADAM,
    "muon_lr": RATE,
    "adam_lr": RATE,
    "momentum": FRACTION,
    "ns_method": OneOf(options=("gram", "standard")),
}

_SGD = Implementation(
    "torch.optim.SGD",
    {**_DECAYED, **_LISTS, "momentum": NUMBER, "dampening": NUMBER, "nesterov": FLAG},
)
_RMSPROP = Implementation(
    "torch.optim.RMSprop",
    {
        **_DECAYED,
        "alpha": FRACTION,
        "eps": NUMBER,
        "momentum": NUMBER,
        "centered": FLAG,
        "foreach": FLAG,
    },
)
_LAMB = Implementation(
    "FusedLamb",
    {
        **_MOMENTS,
        "bias_correction": FLAG,
        "eps_inside_sqrt": FLAG,
        "max_coeff": NUMBER,
        "min_coeff": NUMBER,
    },
    op="fused_lamb",
)


def _adam(torch_name: str) -> Optimizer:
    fused = {**_ADAM, "bias_correction": FLAG, "set_grad_none": FLAG}
    host = {**_ADAM, "bias_correction": FLAG, "amsgrad": FLAG}
    return Optimizer(
        device=Implementation("FusedAdam", fused, op="fused_adam"),
        host=Implementation("DeepSpeedCPUAdam", host, op="cpu_adam"),
        torch=Implementation(torch_name, _TORCH_ADAM),
    )


OPTIMIZERS: dict[str, Optimizer] = {
    "AdamW": _adam("torch.optim.AdamW"),
    "Adam": _adam("torch.optim.Adam"),
    "Muon": Optimizer(
        device=Implementation("MuonWithAuxAdam", _MUON, op="fused_adam"),
        host=Implementation("MuonWithAuxAdam", _MUON, op="cpu_adam"),
        torch=Implementation("MuonWithAuxAdam", {**_MUON, "foreach": FLAG}),
    ),
    "Adagrad": Optimizer(
        device=Implementation(
            "torch.optim.Adagrad",
            {
                **_DECAYED,
                **_LISTS,
                "eps": NUMBER,
                "lr_decay": NUMBER,
                "initial_accumulator_value": NUMBER,
            },
        ),
        host=Implementation(
            "DeepSpeedCPUAdagrad",
            {**_DECAYED, "eps": NUMBER, "amsgrad": FLAG, "fp32_optimizer_states": FLAG},
            op="cpu_adagrad",
        ),
    ),
    "SGD": Optimizer(device=_SGD, host=_SGD, tested=False),
    "RMSprop": Optimizer(device=_RMSPROP, host=_RMSPROP, tested=False),
    "Lion": Optimizer(
        device=Implementation("FusedLion", {**_LION, "set_grad_none": FLAG}, op="fused_lion"),
        host=Implementation(
            "DeepSpeedCPULion", {**_LION, "fp32_optimizer_states": FLAG}, op="cpu_lion"
        ),
        gpu_only=True,
    ),
    "Lamb": Optimizer(device=_LAMB, host=_LAMB, elementwise=False, gpu_only=True),
}

REMOVED = ("OneBitAdam", "ZeroOneAdam", "OneBitLamb")

_FROM_TORCH = ("SGD", "RMSprop")
"""DeepSpeed looks these up in torch.optim letter by letter; its own names match in any case."""


def named(name: str) -> str | None:
    """The key of `OPTIMIZERS` that DeepSpeed takes a name for, if it takes it at all."""
    spelt = {known.lower(): known for known in OPTIMIZERS if known not in _FROM_TORCH}
    return name if name in _FROM_TORCH else spelt.get(name.lower())


def offloaded(config: Mapping[str, Any], what: str) -> str:
    """Where ``zero_optimization.WHAT`` puts its tensors: none, cpu or nvme."""
    return given(config, f"zero_optimization.{what}.device", "none") or "none"


def implementation(config: Mapping[str, Any]) -> Implementation | None:
    """The class that DeepSpeed builds, or None when the name is none that it knows."""
    name = named(given(config, "optimizer.type", "") or "")
    if name is None:
        return None
    optimizer = OPTIMIZERS[name]
    if optimizer.torch and _torch_asked(config):
        return optimizer.torch
    # DeepSpeed asks where the optimizer is offloaded, not whether the ZeRO stage makes use of it.
    return optimizer.device if offloaded(config, "offload_optimizer") == "none" else optimizer.host


def _torch_asked(config: Mapping[str, Any]) -> bool:
    return (given(config, "optimizer.params", {}) or {}).get("torch_adam") is True


def parameters(config: Mapping[str, Any]) -> Block:
    """What ``optimizer.params`` may hold: for any class of the name, or of any when it has none."""
    name = named(given(config, "optimizer.type", "") or "")
    optimizers = [OPTIMIZERS[name]] if name else OPTIMIZERS.values()
    classes = [c for o in optimizers for c in (o.torch, o.device, o.host) if c is not None]
    return {key: kind for each in classes for key, kind in each.parameters.items()}
