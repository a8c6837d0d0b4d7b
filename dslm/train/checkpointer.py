"""Saves and restores an engine's state: what all ranks do together around `run.checkpoint`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dslm.errors import TrainingError
from dslm.parallel.engine import Engine
from dslm.parallel.state import TrainingState
from dslm.run.checkpoint import Writer, layer_file, layer_reader, prune, read_state
from dslm.train.prepare import Job

Reader = Callable[[int], Callable[[str], Tensor]]
"""From the index of a layer to a function from a tensor's name to the tensor."""

MOST_STEPS = 40
"""Throw-away steps within which float16 must find a loss scale that does not overflow."""


class Checkpointer:
    """The checkpoints of a run, written and read by all ranks.

    Args:
        engine: whose state.
        job: where they go, how many are kept, and DeepSpeed's JSON.
        layers: number of layers of the model, embedding and head included.
    """

    def __init__(self, engine: Engine, job: Job, layers: int) -> None:
        self.engine, self.deepspeed = engine, job.deepspeed
        self.root, self.keep, self.layers = job.folder.checkpoints, job.config.keep, layers
        self.is_main = torch.distributed.get_rank() == 0

    def save(self, step: int, samples: int) -> Path:
        """Write and publish a checkpoint; every rank must call it.

        Args:
            step: optimizer steps made.
            samples: windows read.

        Raises:
            TrainingError: some rank could not write, most often because the disk is full.
        """
        state, writer = TrainingState(self.engine, self.deepspeed), Writer(self.root, step)
        if self.is_main:
            writer.begin()
        torch.distributed.barrier()
        files = self._exchange(*self._write_layers(state, writer))
        if self.is_main:
            numbers = {
                "step": step,
                "samples": samples,
                "optimizer_steps": state.optimizer_steps(),
                "loss_scale": state.loss_scale(),
            }
            writer.publish(files, numbers)
            prune(self.root, self.keep)
        torch.distributed.barrier()
        return writer.final

    def restore(self, folder: Path, materialize_moments: Callable[[], object]) -> dict[str, Any]:
        """Continue from a checkpoint; every rank must call it.

        Args:
            folder: a verified checkpoint.
            materialize_moments: makes one optimizer step, all of whose effects are overwritten
                here; without it there are no moments to put values into.

        Returns:
            The numbers that `save` stored.
        """
        for _ in range(MOST_STEPS):
            materialize_moments()
            state = TrainingState(self.engine, self.deepspeed)
            if state.has_moments():
                break
        for index, layer in self._layers():
            read = layer_reader(folder, index)
            for name, parameter in layer:
                state.assign(name, parameter, read)
        numbers = read_state(folder)
        state.set_optimizer_steps(numbers["optimizer_steps"])
        state.set_loss_scale(numbers["loss_scale"])
        return numbers

    def begin(self, weights: Reader) -> None:
        """Replace the initial weights before the first step, as if they had been drawn so.

        Moments there are none yet: the optimizer begins them in its own way.
        """
        state = TrainingState(self.engine, self.deepspeed)
        for index, layer in self._layers():
            read = weights(index)
            for name, parameter in layer:
                state.assign_weight(parameter, read(name))

    def _layers(self) -> list[tuple[int, list[tuple[str, nn.Parameter]]]]:
        """The weights this rank takes part in, layer by layer."""
        named = sorted(self.engine.parameters().items(), key=_layer_index)
        return [(index, list(layer)) for index, layer in groupby(named, key=_layer_index)]

    def _write_layers(
        self, state: TrainingState, writer: Writer
    ) -> tuple[dict[str, tuple[int, str]], OSError | None]:
        """Write the layers of this rank; every rank takes part in gathering, failed or not."""
        files: dict[str, tuple[int, str]] = {}
        failure = None
        for index, layer in self._layers():
            mine = self.engine.writes(index)
            tensors: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
            for name, parameter in layer:
                for key, tensor in state.tensors(name, parameter):
                    if mine:
                        tensors["#" in key][key] = tensor.cpu()
            try:
                for moments, named in enumerate(tensors):
                    if named and failure is None:
                        file = layer_file(index, bool(moments))
                        files[file] = writer.write(file, named)
            except OSError as error:
                failure = error
        return files, failure

    def _exchange(
        self, files: Mapping[str, tuple[int, str]], failure: OSError | None
    ) -> dict[str, tuple[int, str]]:
        """Collect on every rank what all ranks have written, or raise on all if one failed."""
        names = [
            layer_file(index, moments) for index in range(self.layers) for moments in (False, True)
        ]
        table = torch.zeros(len(names) + 1, 1 + 32, dtype=torch.int64)
        for name, (size, sha256) in files.items():
            table[names.index(name)] = torch.tensor([size, *bytes.fromhex(sha256)])
        table[-1, 0] = failure is not None
        table = table.to(self.engine.engine.device)
        torch.distributed.all_reduce(table)
        *rows, (failures, *_) = table.tolist()
        if failures:
            reason = f": {failure}" if failure else " by another rank, see its log"
            raise TrainingError(
                f"the checkpoint could not be written to {self.root}{reason}; "
                "free some space and run the same command again: older checkpoints are whole"
            )
        return {n: (r[0], bytes(r[1:]).hex()) for n, r in zip(names, rows, strict=True) if r[0]}


def _layer_index(named: tuple[str, nn.Parameter]) -> int:
    return int(named[0].split(".", 1)[0])


def stored(folder: Path) -> Reader:
    """Reads the tensors of a checkpoint, one at a time."""
    return partial(layer_reader, folder)
