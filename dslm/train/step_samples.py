"""Which samples a step reads, and how to see their documents."""

from __future__ import annotations

from dslm.run.folder import RunFolder


def samples_of_step(samples: int, batch: int) -> range:
    """The numbers of the samples of the newest step, over all ranks, in the order of training.

    Args:
        samples: read so far, that step included (`Position.samples`).
        batch: samples of a step (`Plan.batch`).
    """
    return range(samples - batch, samples)


def described(samples: range, step: int, folder: RunFolder) -> str:
    """Words for the samples of a step, with the command that shows their documents."""
    numbers = f"samples {samples.start:,}–{samples.stop - 1:,}"
    return f"{numbers} (dslm data trace {folder.path} --step {step} shows their documents)"
