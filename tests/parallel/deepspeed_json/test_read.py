"""Every key that dslm accepts is read by DeepSpeed in code that a run of dslm goes through."""

from __future__ import annotations

import ast
import importlib.util
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from dslm.parallel.deepspeed_json.refused import REFUSED
from dslm.parallel.deepspeed_json.schema import KNOWN, Block

NEVER_IMPORTED = {
    *("autotuning", "inference", "compile", "checkpoint", "nvme", "moe", "module_inject"),
    *("linear", "sequence", "model_implementations", "elasticity", "compression", "launcher"),
    *("hybrid_engine.py", "dataloader.py", "checkpointing.py", "constants.py"),
}
"""Folders and files of DeepSpeed for what dslm does not drive."""

NEVER_CALLED = {
    *("load_checkpoint", "save_checkpoint", "_load_checkpoint", "_load_zero_checkpoint"),
    *("state_dict", "load_state_dict", "_load_legacy_checkpoint", "save_16bit_model"),
    *("deepspeed_io", "compile", "_autotuning_exit", "quantize_nontrainable_params"),
}
"""Methods of its engine and optimizers that dslm does not call."""

RENAMED = {
    "torch_autocast.lower_precision_safe_modules": "torch_autocast_lower_precision_safe_modules"
}
"""Keys that DeepSpeed keeps under another name."""

Place = tuple[str, str]
"""A file of DeepSpeed and a function in it."""


def leaves(block: Block, prefix: str = "") -> Iterator[str]:
    """The full paths of the keys that hold a value."""
    for name, kind in block.items():
        if isinstance(kind, dict):
            yield from leaves(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


class Readers:
    """Which functions of DeepSpeed read a name: an attribute, a key of a dictionary, a constant."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("deepspeed")
        assert spec is not None
        assert spec.origin is not None
        self.root = Path(spec.origin).parent
        self.constants: dict[str, str] = {}
        self.places: defaultdict[str, set[Place]] = defaultdict(set)
        self.passed_on: dict[str, set[str]] = {}
        for file in self.root.rglob("constants.py"):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                    self.constants[ast.unparse(node.targets[0])] = str(node.value.value)
        for file in sorted(self.root.rglob("*.py")):
            path = file.relative_to(self.root)
            if not NEVER_IMPORTED & set(path.parts):
                self._look(ast.parse(file.read_text(encoding="utf-8")), path.as_posix(), "")

    def _look(self, node: ast.AST, file: str, function: str) -> None:
        """Note what the code of a function reads; a configuration's parser does not count."""
        for child in ast.iter_child_nodes(node):
            inner = function
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = child.name
                if file == "runtime/engine.py" and isinstance(child.body[-1], ast.Return):
                    self.passed_on[inner] = {name for name, _ in self._names(child.body[-1])}
            for name, from_self in self._names(child, deep=False):
                parsing = file.endswith("config.py") and not (from_self and inner)
                if not parsing:
                    self.places[name].add((file, inner))
            self._look(child, file, inner)

    def _names(self, node: ast.AST, deep: bool = True) -> Iterator[tuple[str, bool]]:
        """The names read in a node, each with whether it is an attribute of ``self``."""
        for child in ast.walk(node) if deep else [node]:
            if isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Load):
                yield child.attr, ast.unparse(child.value) == "self"
            elif isinstance(child, ast.Name) and child.id in self.constants:
                yield self.constants[child.id], False
            elif isinstance(child, ast.Constant) and isinstance(child.value, str):
                yield child.value, False

    def of(self, name: str, through: tuple[str, ...] = ()) -> list[Place]:
        """The places that use a value; a method that only returns it must itself be called."""
        found = []
        for file, function in sorted(self.places[name]):
            if function in NEVER_CALLED or function == name:
                continue
            hands_on = file == "runtime/engine.py" and name in self.passed_on.get(function, ())
            if hands_on and (function in through or not self.of(function, (*through, function))):
                continue
            found.append((file, function))
        return found


@pytest.fixture(scope="module")
def readers() -> Readers:
    return Readers()


@pytest.mark.parametrize("path", [*leaves(KNOWN)])
def test_an_accepted_key_is_read(path: str, readers: Readers) -> None:
    name = RENAMED.get(path, path.rpartition(".")[2].removeprefix("stage3_"))
    assert readers.of(name), f"{path} is accepted and nothing reads it"


@pytest.mark.parametrize(
    "name",
    [
        *("vocabulary_size", "disable_allgather", "dataloader_drop_last", "load_from_fp32_weights"),
        *("allgather_partitions", "pipeline_loading_checkpoint"),
        *("gather_16bit_weights_on_model_save", "partition_activations", "cpu_checkpointing"),
        *("free_activation_threshold", "sync_before_reduce", "legacy_fusion"),
    ],
)
def test_a_key_without_effect_is_seen_as_such(name: str, readers: Readers) -> None:
    assert readers.of(name) == []


def test_every_refusal_says_what_to_do() -> None:
    for path, refusal in REFUSED.items():
        assert refusal.fix, path
