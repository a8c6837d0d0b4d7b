"""Saves and restores an engine's state: what all ranks do together around `run.checkpoint`."""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from torch import Tensor, nn

from dslm.errors import PeerError, RankError
from dslm.model.initial import Numbers
from dslm.parallel.engine import Engine
from dslm.parallel.state import TrainingState
from dslm.run.best import best
from dslm.run.checkpoint import layer_file, prune, read_state
from dslm.run.checkpoint_writer import Writer
from dslm.train.file_queue import FileQueue, Written
from dslm.train.host_buffer import HostBuffer
from dslm.train.mixture import SHIFTED, write_phases
from dslm.train.prepare import Job
from dslm.train.record import RunRecord
from dslm.train.shares import shares
from dslm.train.stored import stored

FIXES = {
    **dict.fromkeys([errno.ENOSPC, errno.EDQUOT], "free some space and "),
    **dict.fromkeys([errno.EROFS, errno.EACCES, errno.EPERM], "make the folder writable and "),
    errno.ENOENT: "the folder was removed meanwhile: ",
}
"""What to do first about an error of the system."""
MOST_STEPS = 40
"""Throw-away steps within which float16 must find a loss scale that does not overflow."""


@dataclass(frozen=True)
class Pending:
    """A checkpoint that is being written."""

    writer: Writer
    numbers: dict[str, Any]
    queue: FileQueue
    failure: OSError | None
    """Why its folder could not be made."""


class Checkpointer:
    """The checkpoints of a run, written and read by all ranks.

    Args:
        engine: whose state.
        job: where they go, how many are kept, and DeepSpeed's JSON.
        layers: number of layers of the model, embedding and head included.
        record: of the run.
        report: shows a line to the user.
        beat: called for each file that is written, by another thread.
    """

    def __init__(
        self,
        engine: Engine,
        job: Job,
        layers: int,
        record: RunRecord,
        report: Callable[[str], object] = lambda line: None,
        beat: Callable[[], object] = lambda: None,
    ) -> None:
        self.engine, self.deepspeed, self.config = engine, job.deepspeed, job.config
        self.root, self.layers = job.folder.checkpoints, layers
        self.phases, self.shifted = job.phases, job.shifted
        self.report, self.beat, self.record = report, beat, record
        self.bytes, self.is_main = job.checkpoint_bytes, torch.distributed.get_rank() == 0
        self.buffer, self.failures = HostBuffer(), 0
        self._pending: Pending | None = None
        self._pruning: Thread | None = None
        engine.stop.writing = lambda: bool(self._pending and not self._pending.queue.is_done)

    def save(self, step: int, samples: int, measured: Mapping[str, Any]) -> None:
        """Copy the state, and write the copy while the training goes on; every rank must call it.

        Args:
            step: optimizer steps made.
            samples: windows read.
            measured: what the state holds of measurements, see `dslm.train.validation`.

        Raises:
            RankError: the checkpoint before this one was one failure too many, on this rank.
            PeerError: likewise, on another one.
        """
        self.finish()
        if self._pruning is not None:  # what it removes is room for what comes
            self._pruning.join()
        state, writer = TrainingState(self.engine, self.deepspeed), Writer(self.root, step)
        failure = None
        if self.is_main:
            try:
                self.record.put_back()
                writer.begin(self.bytes)
            except OSError as error:
                failure = error
                writer.remove()
        torch.distributed.barrier()
        numbers = {
            "step": step,
            "samples": samples,
            "optimizer_steps": state.optimizer_steps(),
            "loss_scale": state.loss_scale(),
            "optimizer": self.deepspeed["optimizer"]["type"],
            **write_phases(self.phases),
            SHIFTED: self.shifted,
            **measured,
        }
        queue = FileQueue(writer.write, self.beat)
        for file, tensors in self._copies(state).items():
            queue.put(file, tensors)
        queue.end()
        self._pending = Pending(writer, numbers, queue, failure)

    def publish_if_written(self) -> None:
        """Publish what all ranks had written when the last step began; every rank must call it.

        Raises:
            RankError: as `finish`.
            PeerError: as `finish`.
        """
        if self._pending is not None and not self.engine.stop.any_writing():
            self.finish()

    def finish(self, is_last: bool = False) -> None:
        """Wait for the checkpoint being written, and publish it; every rank must call it.

        Args:
            is_last: whether the run ends with it, so that it cannot be left out.

        Raises:
            RankError: this rank could not write it, and it is the last or one failure too many.
            PeerError: likewise, another one could not.
        """
        if self._pending is not None:
            self._finish(self._pending, is_last)
        if is_last and self._pruning is not None:
            self._pruning.join()

    def _finish(self, pending: Pending, is_last: bool) -> None:
        self._pending = None
        if is_last and not pending.queue.is_done:
            self.report(f"writing the checkpoint of step {pending.numbers['step']:,}")
        files, failure = pending.queue.close()
        failure = pending.failure or failure
        found, failed = self._exchange(files, failure)
        if self.is_main and not failed:
            try:
                about = self.record.content(), self.record.layout()
                pending.writer.publish(found, pending.numbers, *about)
            except OSError as error:
                failure = error
        if failed or self._any(failure is not None):
            self._fail(pending, failure, is_last)
            return
        self.failures = 0
        if self.is_main:
            self._pruning = Thread(target=self._prune, name="pruning")
            self._pruning.start()
        torch.distributed.barrier()

    def _prune(self) -> None:
        """Remove older checkpoints; a thread, as large files take long to remove."""
        with suppress(OSError):  # what cannot be removed now is removed after the next one
            chosen = best(self.root) if self.config.keep_best else None
            prune(self.root, self.config.keep, self.config.keep_every, chosen)

    def _fail(self, pending: Pending, failure: OSError | None, is_last: bool) -> None:
        """Go on without a checkpoint, or end the run."""
        self.failures += 1
        if self.is_main:
            pending.writer.remove()
        step = pending.numbers["step"]
        number = self._largest(failure.errno or 0 if failure else 0)
        reason = f": {failure or os.strerror(number)}" + ("" if failure else " (on another rank)")
        what = f"the checkpoint of step {step:,} could not be written to {self.root}{reason}"
        self.record.save_failed(step, reason.removeprefix(": "))
        if is_last or self.failures >= self.config.save_failures:
            times = f" ({self.failures} in a row)" if self.failures > 1 else ""
            fix = FIXES.get(number, "")
            raise (RankError if failure else PeerError)(
                f"{what}{times}; {fix}run the same command again: older checkpoints are whole"
            )
        if not self.is_main and failure is not None:
            logging.getLogger(__name__).warning(what)
        self.report(f"warning: {what}; training goes on, older checkpoints are whole")

    def _largest(self, value: float) -> int:
        """The largest of a number on all ranks."""
        largest = torch.tensor(float(value), device=self.engine.engine.device)
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        return int(largest.item())

    def _any(self, value: bool) -> bool:
        """Whether something is so on any rank."""
        return bool(self._largest(value))

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
        """The files that this rank writes: of its stage each writes about as many bytes."""
        sizes: Counter[str] = Counter()
        for name, parameter in self._weights().items():
            index = _layer_index((name, parameter))
            if self.engine.owns(index):
                count = getattr(parameter, "ds_numel", parameter.numel())
                sizes[layer_file(index, moments=False)] += count
                if moments := len(state.names(parameter)):
                    sizes[layer_file(index, moments=True)] += moments * count
        writers = shares(list(sizes.values()), self.engine.plan.stage_ranks)
        pairs = zip(sizes, writers, strict=True)
        return {file for file, writer in pairs if writer == self.engine.in_stage}

    def _copies(self, state: TrainingState) -> dict[str, dict[str, Tensor]]:
        """Gather weight by weight, in which all ranks take part; copies for this rank's files."""
        own, files = self._own_files(state), dict[str, dict[str, Tensor]]()
        for index, layer in groupby(self._weights().items(), key=_layer_index):
            for name, parameter in layer:
                for key, tensor in state.tensors(name, parameter):
                    file = layer_file(index, moments="#" in key)
                    if file in own:
                        files.setdefault(file, {})[key] = self.buffer.copy(key, tensor)
        return files

    def _exchange(
        self, files: Mapping[str, Written], failure: OSError | None
    ) -> tuple[dict[str, Written], bool]:
        """What all ranks have written, and whether any of them failed; the same on every rank."""
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
        whole = {n: (r[0], bytes(r[1:]).hex()) for n, r in zip(names, rows, strict=True) if r[0]}
        return whole, bool(failures)


def _layer_index(named: tuple[str, nn.Parameter]) -> int:
    return int(named[0].split(".", 1)[0])
