"""Saves and restores an engine's state: what all ranks do together around `run.checkpoint`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dslm.errors import PeerError, RankError
from dslm.model.initial import Numbers
from dslm.parallel.engine import Engine
from dslm.parallel.state import TrainingState
from dslm.run.checkpoint import Writer, layer_file, prune, read_state
from dslm.run.tensor_file import TensorFile
from dslm.train.file_queue import FileQueue, Written
from dslm.train.mixture import write_phases
from dslm.train.prepare import Job
from dslm.train.shares import shares

MOST_STEPS = 40
"""Throw-away steps within which float16 must find a loss scale that does not overflow."""


class Checkpointer:
    """The checkpoints of a run, written and read by all ranks.

    Args:
        engine: whose state.
        job: where they go, how many are kept, and DeepSpeed's JSON.
        layers: number of layers of the model, embedding and head included.
        beat: called for each file that is written.
    """

    def __init__(
        self, engine: Engine, job: Job, layers: int, beat: Callable[[], object] = lambda: None
    ) -> None:
        self.engine, self.deepspeed = engine, job.deepspeed
        self.root, self.keep, self.layers = job.folder.checkpoints, job.config.keep, layers
        self.phases = job.phases
        self.beat, self.is_main = beat, torch.distributed.get_rank() == 0

    def save(self, step: int, samples: int) -> Path:
        """Write and publish a checkpoint; every rank must call it.

        Args:
            step: optimizer steps made.
            samples: windows read.

        Raises:
            RankError: this rank could not write, most often because the disk is full.
            PeerError: another rank could not.
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
                "optimizer": self.deepspeed["optimizer"]["type"],
                **write_phases(self.phases),
            }
            writer.publish(files, numbers)
            prune(self.root, self.keep)
        torch.distributed.barrier()
        return writer.final

    def restore(self, folder: Path, materialize_moments: Callable[[], object]) -> dict[str, Any]:
        """Continue from a checkpoint; every rank must call it, and reads its own part alone.

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
        state.fill(self._weights(), stored(folder), moments=True)
        numbers = read_state(folder)
        state.set_optimizer_steps(numbers["optimizer_steps"])
        state.set_loss_scale(numbers["loss_scale"])
        return numbers

    def begin(self, weights: Numbers) -> None:
        """Fill the weights of a run that has made no step; every rank must call it."""
        state = TrainingState(self.engine, self.deepspeed)
        state.fill(self._weights(), weights, moments=False)

    def _weights(self) -> dict[str, nn.Parameter]:
        """The weights this rank takes part in, in the order of the layers."""
        return dict(sorted(self.engine.parameters().items(), key=_layer_index))

    def _own_files(self, state: TrainingState) -> set[str]:
        """The files that this rank writes: of its replicas each writes about as many bytes."""
        sizes: Counter[str] = Counter()
        for name, parameter in self._weights().items():
            index = _layer_index((name, parameter))
            if self.engine.owns(index):
                count = getattr(parameter, "ds_numel", parameter.numel())
                sizes[layer_file(index, moments=False)] += count
                if moments := len(state.names(parameter)):
                    sizes[layer_file(index, moments=True)] += moments * count
        writers = shares(list(sizes.values()), self.engine.plan.replicas)
        pairs = zip(sizes, writers, strict=True)
        return {file for file, writer in pairs if writer == self.engine.replica}

    def _write_layers(
        self, state: TrainingState, writer: Writer
    ) -> tuple[dict[str, Written], OSError | None]:
        """Gather layer by layer, in which all ranks take part, while a thread writes its files."""
        own, queue = self._own_files(state), FileQueue(partial(self._write, writer))
        for index, layer in groupby(self._weights().items(), key=_layer_index):
            tensors: dict[str, dict[str, Tensor]] = {}
            for name, parameter in layer:
                for key, tensor in state.tensors(name, parameter):
                    file = layer_file(index, moments="#" in key)
                    if file in own:
                        tensors.setdefault(file, {})[key] = tensor.cpu()
            for file, named in tensors.items():
                queue.put(file, named)
        return queue.close()

    def _write(self, writer: Writer, file: str, tensors: Mapping[str, Tensor]) -> Written:
        written = writer.write(file, tensors)
        self.beat()
        return written

    def _exchange(
        self, files: Mapping[str, Written], failure: OSError | None
    ) -> dict[str, Written]:
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
            reason = f": {failure}" if failure else " by another rank"
            raise (RankError if failure else PeerError)(
                f"the checkpoint could not be written to {self.root}{reason}; "
                "free some space and run the same command again: older checkpoints are whole"
            )
        return {n: (r[0], bytes(r[1:]).hex()) for n, r in zip(names, rows, strict=True) if r[0]}


def _layer_index(named: tuple[str, nn.Parameter]) -> int:
    return int(named[0].split(".", 1)[0])


def stored(folder: Path) -> Numbers:
    """The weights and moments of a checkpoint, any part of any of them."""

    @lru_cache(maxsize=2)  # a layer's weights and its moments
    def opened(file: str) -> TensorFile:
        return TensorFile(folder / file)

    def read(name: str, start: int, stop: int) -> Tensor:
        file = layer_file(int(name.partition(".")[0]), moments="#" in name)
        return torch.from_numpy(opened(file).read(name, start, stop))

    return read
