"""Programs that draw curves of their own: TensorBoard's event files and W&B's, in the run's folder.

Both are written by the packages themselves, only where they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dslm.environment import wandb_mode
from dslm.errors import Problem
from dslm.run.config import RunConfig
from dslm.run.metrics import Board

PACKAGES = ("tensorboard", "wandb")
"""Keys of the settings, named like the package that each needs."""


class WandbWriter:
    """W&B's record of a run, with the interface of TensorBoard's writer.

    W&B connects to nothing unless ``WANDB_MODE=online`` is set; ``wandb sync`` uploads later.

    Args:
        folder: of the run; W&B writes to ``wandb`` in it.
        settings: what W&B shows as the run's configuration.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        quiet = wandb.Settings(
            console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True
        )
        self._run = wandb.init(
            dir=str(folder),
            mode=wandb_mode(),
            project="dslm",
            name=folder.name,
            config=dict(settings),
            settings=quiet,
        )
        self._run.define_metric("*", step_metric="step")

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Add a number to a curve over the steps; after a rewind they go back."""
        self._run.log({tag: scalar_value, "step": global_step})

    def close(self) -> None:
        """Write what is left."""
        self._run.finish()


def boards(config: RunConfig, folder: Path, settings: Mapping[str, Any]) -> list[Board]:
    """The writers that a run asks for."""
    wanted: list[Board] = []
    if config.tensorboard:
        from torch.utils.tensorboard import SummaryWriter

        wanted.append(SummaryWriter(str(folder / "tensorboard")))
    if config.wandb:
        wanted.append(WandbWriter(folder, settings))
    return wanted


def check_boards(config: RunConfig) -> list[Problem]:
    """Which packages they need and are not installed."""
    missing = [key for key in PACKAGES if getattr(config, key) and not _installed(key)]
    rule = "needs the package {}, which is not installed"
    return [
        Problem(key, True, rule.format(key), f"pip install 'dslm[{key}]', or leave it out")
        for key in missing
    ]


def _installed(package: str) -> bool:
    """Whether a package is installed; a folder that is called like it is none."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
