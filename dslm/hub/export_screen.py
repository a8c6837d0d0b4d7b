"""What a user reads about an export: what was written, its size, and that it is the run's model."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from dslm.hub.exporting import Exported
from dslm.hub.families import SETTINGS
from dslm.hub.manifest import AS_IN_TRAINING, FILE, Manifest, Size
from dslm.progress import human


def lines(exported: Exported, folder: Path) -> list[str]:
    """The last screen of an export.

    Args:
        exported: what was written.
        folder: where.
    """
    found = [f"{name:<9}{text}" for name, text in _found(exported.manifest, folder)]
    found += ["next:", f"  {exported.load}"]
    if (folder / SETTINGS).is_file():
        run = shlex.quote(f"{folder.as_posix()}-imported")
        found.append(f"  dslm hub import {shlex.quote(folder.as_posix())} {run}")
    return found


def _found(made: Manifest, folder: Path) -> Iterator[tuple[str, str]]:
    proof, scheme = made.proof, made.quantization.selected
    yield "written", f"{folder} · step {made.step:,} of {made.run} · {FILE} lists the files"
    yield "format", f"{made.format} · {made.holder}{made.why and f' ({made.why})'}"
    if scheme is not None:
        yield "rounded", _rounded(made)
    if made.rounded is not None:
        yield "", _size(made.rounded)
    yield "files", _size(made.model)
    yield (
        "proof",
        (
            f"loss {proof.exported_loss:.6f} read back, {proof.loss:.6f} in the run: "
            f"{proof.difference:.1g} apart (scores {proof.score_difference:.1g})"
        ),
    )
    yield "", f"on {proof.tokens:,} tokens: {proof.batch}"


def _rounded(made: Manifest) -> str:
    scheme, proof = made.quantization.selected, made.proof
    assert scheme is not None
    shared = "an output" if scheme.group is None else f"{scheme.group} inputs"
    said = f"weights to {scheme.weights} bits, a step for {shared}"
    if scheme.activations is None:
        return said
    inputs = f"{said}; inputs, {scheme.activations} bits in training, {made.inputs}"
    if made.inputs == AS_IN_TRAINING:
        return inputs
    return f"{inputs} (loss with them rounded as in training: {proof.training_loss:.6f})"


def _size(size: Size) -> str:
    smaller = f", 1/{size.ratio:.2f}" if size.stored < size.float32 else ""
    return f"{human(size.stored)}B ({human(size.float32)}B in float32{smaller})"
