"""The table of optimizers: which class DeepSpeed builds, what it takes, keeps and compiles.

One name has up to three classes: torch's own (``"torch_adam": true``), DeepSpeed's kernel on the
device, and its kernel on the host when the optimizer is offloaded. They take different parameters,
and DeepSpeed finds out only after the model is in memory, so `implementation` repeats its choice
(``DeepSpeedEngine._configure_basic_optimizer``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from dslm.parallel.deepspeed_json.schema import FLAG, NUMBER, Block, given
from dslm.parallel.deepspeed_json.value import value_type

RATE = value_type(Annotated[float, Field(gt=0)])
"""A peak learning rate."""

Fraction = Annotated[float, Field(ge=0, lt=1)]
FRACTION = value_type(Fraction)

PARAMETERS: Block = {
    **dict.fromkeys(("lr", "muon_lr", "adam_lr"), RATE),
    **dict.fromkeys(("weight_decay", "eps", "momentum", "dampening", "lr_decay"), NUMBER),
    **dict.fromkeys(("max_coeff", "min_coeff", "initial_accumulator_value"), NUMBER),
    "alpha": FRACTION,
    "betas": value_type(Annotated[list[Fraction], Field(min_length=2, max_length=2)]),
    "ns_method": value_type(Literal["gram", "standard"]),
}
"""What the parameters of all optimizers may hold; every other one is true or false."""


def _takes(names: str) -> Block:
    return {name: PARAMETERS.get(name, FLAG) for name in names.split()}


@dataclass(frozen=True)
class Implementation:
    """One optimizer class."""

    name: str
    parameters: Block
    moments: Mapping[str, str]
    """The tensors, of the weight's own shape, that it keeps for a weight; each with the parameter
    that asks for it, or with none when it is always kept."""
    op: str = ""
    """The DeepSpeed op that it compiles just in time, if it does."""
    matrix_moments: Mapping[str, str] | None = None
    """What it keeps for a matrix, where that is something else."""


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

    @property
    def implementations(self) -> list[Implementation]:
        """Its classes."""
        return [each for each in (self.torch, self.device, self.host) if each is not None]


_LION = "lr weight_decay betas"
_ADAM = f"{_LION} eps torch_adam adam_w_mode"
_MUON = f"{_ADAM} muon_lr adam_lr ns_method"
_ADAM_MOMENTS = {"exp_avg": "", "exp_avg_sq": ""}


def _adam(torch_name: str) -> Optimizer:
    return Optimizer(
        Implementation(
            "FusedAdam",
            _takes(f"{_ADAM} bias_correction set_grad_none"),
            _ADAM_MOMENTS,
            "fused_adam",
        ),
        Implementation(
            "DeepSpeedCPUAdam",
            _takes(f"{_ADAM} bias_correction fp32_optimizer_states"),
            _ADAM_MOMENTS,
            "cpu_adam",
        ),
        Implementation(
            torch_name,
            _takes(f"{_ADAM} amsgrad foreach fused"),
            {**_ADAM_MOMENTS, "max_exp_avg_sq": "amsgrad"},
        ),
    )


def _muon(more: str = "", op: str = "") -> Implementation:
    takes = {**_takes(_MUON + more), "momentum": FRACTION}
    return Implementation("MuonWithAuxAdam", takes, _ADAM_MOMENTS, op, {"momentum_buffer": ""})


_SGD = Implementation(
    "torch.optim.SGD",
    _takes("lr weight_decay foreach fused momentum dampening nesterov"),
    {"momentum_buffer": "momentum"},
)
_RMSPROP = Implementation(
    "torch.optim.RMSprop",
    _takes("lr weight_decay alpha eps momentum centered foreach"),
    {"square_avg": "", "momentum_buffer": "momentum", "grad_avg": "centered"},
)
_LAMB = Implementation(
    "FusedLamb",
    _takes(f"{_LION} eps bias_correction eps_inside_sqrt max_coeff min_coeff"),
    _ADAM_MOMENTS,
    "fused_lamb",
)

OPTIMIZERS: dict[str, Optimizer] = {
    "AdamW": _adam("torch.optim.AdamW"),
    "Adam": _adam("torch.optim.Adam"),
    "Muon": Optimizer(
        _muon(op="fused_adam"),
        _muon(" fp32_optimizer_states", op="cpu_adam"),
        _muon(" foreach"),
    ),
    "Adagrad": Optimizer(
        Implementation(
            "torch.optim.Adagrad",
            _takes("lr weight_decay foreach fused eps lr_decay initial_accumulator_value"),
            {"sum": ""},
        ),
        Implementation(
            "DeepSpeedCPUAdagrad",
            _takes("lr weight_decay eps fp32_optimizer_states"),
            {"exp_avg_sq": ""},
            "cpu_adagrad",
        ),
    ),
    "SGD": Optimizer(_SGD, _SGD, tested=False),
    "RMSprop": Optimizer(_RMSPROP, _RMSPROP, tested=False),
    "Lion": Optimizer(
        Implementation(
            "FusedLion", _takes(f"{_LION} set_grad_none"), {"exp_avg": ""}, "fused_lion"
        ),
        Implementation(
            "DeepSpeedCPULion",
            _takes(f"{_LION} fp32_optimizer_states"),
            {"exp_avg": ""},
            "cpu_lion",
        ),
        gpu_only=True,
    ),
    "Lamb": Optimizer(_LAMB, _LAMB, elementwise=False, gpu_only=True),
}

REMOVED = {"onebitadam": "AdamW", "zerooneadam": "AdamW", "onebitlamb": "Lamb"}
"""Optimizers that compress what they send, in small letters, and those whose updates they have."""
OTHER_NAMES = {
    **dict.fromkeys(("fusedadam", "deepspeedcpuadam", "cpuadam", "adam_w"), "AdamW"),
    **dict.fromkeys(("adamw_torch", "adamw_hf", "adamw8bit", "adamw_torch_fused"), "AdamW"),
    **dict.fromkeys(("torch.optim.adamw", "adafactor", "pagedadamw"), "AdamW"),
    "fusedlamb": "Lamb",
    "fusedlion": "Lion",
    "torch.optim.adam": "Adam",
    "torch.optim.sgd": "SGD",
}
"""What else optimizers are called, in small letters, and what is nearest to them here."""

_FROM_TORCH = ("SGD", "RMSprop")
"""DeepSpeed looks these up in torch.optim letter by letter; its own names match in any case."""


def named(name: str) -> str | None:
    """The key of `OPTIMIZERS` that a name means to DeepSpeed, if any."""
    spelt = {known.lower(): known for known in OPTIMIZERS if known not in _FROM_TORCH}
    return name if name in _FROM_TORCH else spelt.get(name.lower())


def offloaded(config: Mapping[str, Any], what: str) -> str:
    """Where ``zero_optimization.WHAT`` puts its tensors: none, cpu or nvme."""
    return given(config, f"zero_optimization.{what}.device", "none") or "none"


def implementation(config: Mapping[str, Any]) -> Implementation | None:
    """The class that DeepSpeed builds, or None when it does not know the name."""
    name = named(given(config, "optimizer.type", "") or "")
    if name is None:
        return None
    optimizer = OPTIMIZERS["AdamW" if decouples_decay(config) else name]
    if optimizer.torch and _parameters(config).get("torch_adam") is True:
        return optimizer.torch
    # DeepSpeed asks where the optimizer is offloaded, not whether the ZeRO stage makes use of it.
    return optimizer.device if offloaded(config, "offload_optimizer") == "none" else optimizer.host


def decouples_decay(config: Mapping[str, Any]) -> bool:
    """Whether the file says Adam and means AdamW: DeepSpeed's ``adam_w_mode`` is on by default."""
    name = named(given(config, "optimizer.type", "") or "")
    return name == "Adam" and _parameters(config).get("adam_w_mode", True) is not False


def moments(config: Mapping[str, Any], is_matrix: bool) -> tuple[str, ...]:
    """The names of the tensors, of the weight's own shape, that the optimizer keeps.

    Args:
        config: DeepSpeed's JSON, checked.
        is_matrix: whether the weight is one that Muon orthogonalizes.
    """
    used, params = implementation(config), _parameters(config)
    assert used is not None
    kept = used.matrix_moments if is_matrix and used.matrix_moments else used.moments
    return tuple(name for name, asked_by in kept.items() if not asked_by or params.get(asked_by))


def all_moments(config: Mapping[str, Any]) -> frozenset[str]:
    """The names of all the moments that the optimizer keeps, for any weight."""
    return frozenset(moments(config, is_matrix=True) + moments(config, is_matrix=False))


def _parameters(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return given(config, "optimizer.params", {}) or {}


def allowed_parameters(config: Mapping[str, Any]) -> Block:
    """What ``optimizer.params`` may hold: for any class of the name, or of any when it has none."""
    name = named(given(config, "optimizer.type", "") or "")
    optimizers = [OPTIMIZERS[name]] if name else OPTIMIZERS.values()
    classes = [each for optimizer in optimizers for each in optimizer.implementations]
    return {key: kind for each in classes for key, kind in each.parameters.items()}
