"""The schema against its oracle, the installed DeepSpeed: a new release shows what it changed."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from dslm.parallel.deepspeed_json.optimizer import OPTIMIZERS, REMOVED, Implementation
from dslm.parallel.deepspeed_json.refused import REFUSED
from dslm.parallel.deepspeed_json.schema import KNOWN, Block
from dslm.parallel.deepspeed_json.value import accepts, options

MODELS = {
    "zero_optimization": "runtime.zero.config.DeepSpeedZeroConfig",
    "zero_optimization.offload_param": (
        "runtime.zero.offload_config.DeepSpeedZeroOffloadParamConfig"
    ),
    "zero_optimization.offload_optimizer": (
        "runtime.zero.offload_config.DeepSpeedZeroOffloadOptimizerConfig"
    ),
    "zero_optimization.leaf_module": (
        "runtime.zero.leaf_module_config.DeepSpeedZeroLeafModuleConfig"
    ),
    "fp16": "runtime.precision_config.DeepSpeedFP16Config",
    "bf16": "runtime.precision_config.DeepSpeedBF16Config",
    "comms_logger": "comm.config.CommsLoggerConfig",
    "tensorboard": "monitor.config.TensorBoardConfig",
    "wandb": "monitor.config.WandbConfig",
    "csv_monitor": "monitor.config.CSVConfig",
    "comet": "monitor.config.CometConfig",
    "timers.throughput": "utils.config.DeepSpeedThroughputTimerConfig",
}
"""The blocks that DeepSpeed reads with pydantic."""

SAMPLES: tuple[Any, ...] = (
    True,
    False,
    -1,
    0,
    1,
    2,
    3,
    4,
    0.0,
    0.5,
    1.5,
    5e8,
    "cpu",
    "nvme",
    "get",
    None,
    [],
    ["z1"],
)

READ_ELSEWHERE = {"sequence_parallel_size", "data_parallel_size", "nebula"}
"""Keys that `DeepSpeedConfig` does not ask for by their own name at the top level."""

NOT_FOR_TRAINING = {"maximize", "capturable", "differentiable", "decoupled_weight_decay"}
"""Parameters of torch's optimizers that would train wrongly, or that DeepSpeed sets."""

NOT_OF_ITS_KERNEL = {
    "FusedAdam": {"amsgrad"},
    "FusedLamb": {"amsgrad", "max_grad_norm"},
    "DeepSpeedCPUAdam": {"amsgrad"},
    "DeepSpeedCPUAdagrad": {"amsgrad"},
}
"""Parameters that a class of DeepSpeed takes and then refuses, or never looks at."""

TAKEN_BY_DEEPSPEED = {"torch_adam", "adam_w_mode", "adamw_mode", "fp32_optimizer_states"}
"""Keys of ``optimizer.params`` that choose a class or reach only some of them."""


def deepspeed(path: str) -> Any:
    """Something of DeepSpeed by its full name."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"deepspeed.{module}"), name)


def block(path: str) -> Block:
    """A block of the schema."""
    found: Any = KNOWN
    for name in path.split("."):
        found = found[name]
    return found  # type: ignore[no-any-return]


def refused(path: str) -> set[str]:
    """The refused keys of a block; of the top level for an empty path."""
    return {leaf for home, _, leaf in (key.rpartition(".") for key in REFUSED) if home == path}


@pytest.mark.parametrize("path", MODELS)
def test_a_block_has_the_fields_of_deepspeeds_model(path: str) -> None:
    fields = deepspeed(MODELS[path]).model_fields
    names = {*fields, *(field.alias for field in fields.values() if field.alias)}
    removed = {
        key for key in refused(path) if REFUSED[f"{path}.{key}"].rule.startswith("was removed")
    }
    assert {*block(path), *refused(path)} - (removed - names) == names


@pytest.mark.parametrize("path", MODELS)
def test_what_a_kind_accepts_deepspeed_accepts(path: str) -> None:
    model = deepspeed(MODELS[path])
    kinds = {name: kind for name, kind in block(path).items() if not isinstance(kind, dict)}
    accepted = [(name, s) for name, kind in kinds.items() for s in SAMPLES if accepts(kind, s)]
    assert accepted
    for name, sample in accepted:
        model(strict=True, **{name: sample})


@pytest.mark.parametrize("path", MODELS)
def test_a_kind_accepts_deepspeeds_default(path: str) -> None:
    fields = deepspeed(MODELS[path]).model_fields
    for name, kind in block(path).items():
        if name in fields and not isinstance(kind, dict):
            assert accepts(kind, fields[name].get_default(call_default_factory=True)), name


class Asked(dict[str, Any]):
    """A dictionary that remembers the keys it was asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def keys(self) -> Any:
        return self


def test_the_top_level_holds_every_key_that_deepspeed_asks_for() -> None:
    asked = Asked({"train_batch_size": 1})
    deepspeed("runtime.config.DeepSpeedConfig")(asked)
    assert asked.names | READ_ELSEWHERE == {*KNOWN, *refused("")} | READ_ELSEWHERE


@pytest.mark.parametrize("name", ["flops_profiler", "aio", "torch_autocast", "data_types"])
def test_a_block_without_a_model_holds_every_key_that_deepspeed_asks_for(name: str) -> None:
    asked = Asked({})
    deepspeed("runtime.config.DeepSpeedConfig")({"train_batch_size": 1, name: asked})
    assert asked.names == set(block(name))


def test_the_pipeline_block_holds_deepspeeds_defaults() -> None:
    defaults = deepspeed("runtime.config.get_pipeline_config")({})
    assert {*block("pipeline"), *refused("pipeline")} == {*defaults, "use_reentrant"}


def test_every_key_that_deepspeed_removed_is_refused() -> None:
    assert set(deepspeed("runtime.config._REMOVED_TOP_LEVEL_CONFIG_KEYS")) <= refused("")
    zero = set(deepspeed("runtime.config._REMOVED_ZERO_CONFIG_KEYS"))
    assert zero <= refused("zero_optimization")


def test_no_key_is_both_known_and_refused() -> None:
    for path in REFUSED:
        home, _, name = path.rpartition(".")
        assert name not in (block(home) if home else KNOWN)


def test_log_levels_and_sums_are_deepspeeds() -> None:
    levels = deepspeed("utils.logging.log_levels")
    assert set(options(KNOWN["log_level"])) == set(levels)  # type: ignore[arg-type]
    sums = deepspeed("runtime.constants.GRADIENT_ALLREDUCE_OP_SUPPORTED")
    assert tuple(options(KNOWN["gradient_allreduce_op"])) == sums  # type: ignore[arg-type]


def test_every_optimizer_of_deepspeed_is_known_but_those_for_another_package() -> None:
    names = set(deepspeed("runtime.config.DEEPSPEED_OPTIMIZERS"))
    ours = {name.lower() for name in OPTIMIZERS}
    assert names - ours == {"muadam", "muadamw", "musgd"}
    assert ours - names == {"sgd", "rmsprop"}
    assert not names & {name.lower() for name in REMOVED}


CLASSES = {
    "FusedAdam": "deepspeed.ops.adam",
    "DeepSpeedCPUAdam": "deepspeed.ops.adam",
    "DeepSpeedCPUAdagrad": "deepspeed.ops.adagrad",
    "FusedLion": "deepspeed.ops.lion",
    "DeepSpeedCPULion": "deepspeed.ops.lion",
    "FusedLamb": "deepspeed.ops.lamb",
}


def classes() -> dict[str, Implementation]:
    """Every class that takes its parameters by name, once."""
    every = [each for optimizer in OPTIMIZERS.values() for each in optimizer.implementations]
    return {each.name: each for each in every if each.name != "MuonWithAuxAdam"}


def optimizer_class(name: str) -> Any:
    module = CLASSES.get(name, "torch.optim")
    return getattr(importlib.import_module(module), name.rpartition(".")[2])


@pytest.mark.parametrize("name", sorted(classes()))
def test_an_optimizer_takes_the_parameters_of_its_class(name: str) -> None:
    signature = set(inspect.signature(optimizer_class(name).__init__).parameters)
    signature -= {"self", "params", "model_params"} | NOT_FOR_TRAINING
    signature -= NOT_OF_ITS_KERNEL.get(name, set())
    assert set(classes()[name].parameters) - TAKEN_BY_DEEPSPEED == signature - TAKEN_BY_DEEPSPEED


def test_muon_takes_the_parameters_of_its_two_halves() -> None:
    engine = deepspeed("runtime.engine.DeepSpeedEngine")
    halves = {*engine._MUON_HALF_KEYS, *engine._ADAM_HALF_KEYS, "muon_lr", "adam_lr"}
    assert set(OPTIMIZERS["Muon"].device.parameters) - TAKEN_BY_DEEPSPEED == halves


@pytest.mark.parametrize("name", sorted(classes()))
def test_an_optimizer_is_tested_under_zero_as_deepspeed_says(name: str) -> None:
    supported = deepspeed("runtime.zero.utils.ZERO_SUPPORTED_OPTIMIZERS")
    users = [
        optimizer
        for optimizer in OPTIMIZERS.values()
        if name in {each.name for each in optimizer.implementations}
    ]
    fits = {o.tested and o.elementwise for o in users}
    assert fits == {optimizer_class(name) in supported}
