"""What all scenarios share: the user's command, and what it does when nothing goes wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from dslm.chaos.fault import Fault
from dslm.chaos.trial import Trial
from dslm.errors import TrainingError
from dslm.parallel.plan import ACCUMULATION, BATCH, MICRO

STEPS, INTERVAL = 20, 8
"""Steps of a run, and between two checkpoints: one of step 8, one of 16, one of 20."""
FIRST, SECOND = INTERVAL, 2 * INTERVAL
PATIENCE = 300.0
"""Seconds after which a start counts as stuck."""


class Bench:
    """Starts the user's run again and again, each time in a folder of its own.

    Args:
        folder: for all of it; need not exist.
        words: preset and settings.
        config: a file of settings, if any.
        deepspeed: DeepSpeed's JSON.
        micro_batch: sequences that a rank computes at once.
        pipeline_stages: of the user's run.
        replicas: of the user's run.
    """

    RANKS = 2
    ALONE = (
        *("pipeline_stages=1", "tensor_parallel=1"),
        *("sequence_parallel=1", "expert_parallel=1"),
    )
    """The layout of a single rank."""

    def __init__(
        self,
        folder: Path,
        words: Sequence[str],
        config: str | None,
        deepspeed: Mapping[str, Any],
        micro_batch: int,
        pipeline_stages: int,
        replicas: int,
    ) -> None:
        self.folder, self.words, self.config = folder, list(words), config
        self.deepspeed, self.micro_batch = deepspeed, micro_batch
        self.pipeline_stages = pipeline_stages
        self._trials: list[Trial] = []
        self.batch = 2 * micro_batch * replicas

    def start(
        self,
        name: str,
        *faults: Fault,
        ranks: int = RANKS,
        pause: float = 0.0,
        words: Sequence[str] = (),
        deepspeed: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Start the run in the folder of a scenario.

        Args:
            name: of the scenario; a second start resumes what the first has left.
            faults: what goes wrong.
            ranks: how many.
            pause: seconds that each step takes longer.
            words: settings besides the user's.
            deepspeed: keys of DeepSpeed's JSON in place of the user's.
        """
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"deepspeed-{len(list(folder.glob('deepspeed-*.json')))}.json"
        file.write_text(json.dumps({**self.json(), **(deepspeed or {})}, indent=2))
        settings = self.settings(folder / "run", words)
        arguments = [*settings, "--deepspeed_config", str(file)]
        self._trials.append(Trial(folder, ranks, arguments, faults, pause, PATIENCE))
        return self._trials[-1]

    def close(self) -> None:
        """End whatever is still running."""
        for trial in self._trials:
            trial.end()

    def settings(self, run: Path, words: Sequence[str]) -> list[str]:
        """The user's words with a few short steps, no dropout, and every step logged.

        Args:
            run: the run's folder.
            words: of the scenario.
        """
        config = ["--config", self.config] if self.config else []
        pace = [f"steps={STEPS}", f"checkpoint_interval={INTERVAL}", "evaluation_interval=1000"]
        stages = min(self.pipeline_stages, self.RANKS)
        layout = [f"pipeline_stages={stages}", "model.dropout=0", "log_interval=1", "keep=3"]
        given = [*self.words, *pace, *layout, *words, f"run={run}"]
        last = {word.partition("=")[0]: word for word in given}
        return [*config, *last.values()]

    def json(self) -> dict[str, Any]:
        """DeepSpeed's JSON: a batch of two micro-batches a rank, however many ranks there are."""
        rest = {key: value for key, value in self.deepspeed.items() if key != ACCUMULATION}
        return {**rest, BATCH: self.batch, MICRO: self.micro_batch}

    @cached_property
    def reference(self) -> Trial:
        """The run when nothing goes wrong.

        Raises:
            TrainingError: it does not end well, so there is nothing to compare with.
        """
        trial = self.start("undisturbed")
        code = trial.wait()
        if code or trial.stuck:
            raise TrainingError(
                f"the run does not end well even without a fault (exit code {code}); "
                f"see {trial.screen}"
            )
        return trial

    def two_checkpoints(self, name: str) -> Path:
        """The folder of a run that has been cut off after its second checkpoint."""
        run = self.folder / name / "run"
        shutil.copytree(self.reference.run, run)
        shutil.rmtree(run / "checkpoints" / f"step-{STEPS:08d}")
        return run
