"""What an export says about itself: ``dslm_export.json``, written last, beside the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dslm import __version__
from dslm.files import record
from dslm.files.fingerprint import Input, file_sha256
from dslm.hub.formats import Written
from dslm.hub.proof import Proof
from dslm.inference.trained import Trained
from dslm.model.counts import parameter_count
from dslm.model.quantize import rounding
from dslm.quantization.config import QuantizationConfig

FILE = "dslm_export.json"
AS_IN_TRAINING = "rounded as in training"
FLOAT = 4
"""Bytes of a number in float32."""


@dataclass(frozen=True)
class Size:
    """Bytes in float32, and as they lie in the files."""

    float32: int
    stored: int

    @property
    def ratio(self) -> float:
        """How many times smaller they have become."""
        return self.float32 / self.stored


@dataclass(frozen=True)
class Manifest:
    """An export."""

    version: str
    """Of dslm."""
    run: str
    """The name of its folder."""
    step: int
    """Of its checkpoint."""
    format: str
    """The format, see `dslm.hub.formats`."""
    holder: str
    """What loads it."""
    why: str
    """Why that, where another would have been the first choice."""
    quantization: QuantizationConfig
    """What the model was rounded to."""
    inputs: str
    """What what loads it makes of the inputs of layers."""
    files: tuple[Input, ...]
    """All others beside this one."""
    model: Size
    """All weights, and all files."""
    rounded: Size | None
    """The weights that are rounded, with their steps."""
    proof: Proof


def describe(
    folder: Path,
    trained: Trained,
    format: str,
    written: Written,
    rounds_inputs: bool,
    proof: Proof,
) -> Manifest:
    """Say of a folder what it holds, and write it there.

    Args:
        folder: the folder, with all its files.
        trained: the model of the run, whose layers still round.
        format: the name of the format.
        written: what it made of the model.
        rounds_inputs: whether what was read back rounds the inputs of layers.
        proof: how near that is.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    files = tuple(
        Input(name, (folder / name).stat().st_size, file_sha256(folder / name)) for name in names
    )
    whole = Size(FLOAT * parameter_count(trained.config.model), sum(file.bytes for file in files))
    layers = [trained.model.get_submodule(name) for name in rounding(trained.model)]
    numbers = sum(layer.get_parameter("weight").numel() for layer in layers)
    rounded = Size(FLOAT * numbers, written.rounded) if numbers else None
    made = Manifest(
        __version__,
        trained.run.resolve().name,
        trained.step,
        format,
        written.holder,
        written.why,
        trained.quantization,
        AS_IN_TRAINING if rounds_inputs else written.inputs,
        files,
        whole,
        rounded,
        proof,
    )
    record.save(made, folder / FILE)
    return made
