"""Beam search: the likeliest continuation, among those of a few beginnings at a time.

As in `transformers`: of the 2 n likeliest continuations of n beams, the n best that have not ended
go on; those that have ended count if they are among the n best. It is over when n have ended and,
at the present length, no beam could do better than the worst of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dslm.inference.tail import Tail
from dslm.inference.writing import Chosen, End, Task, Written

NO_BEAM = -1e9
"""The score of beams that are not there yet: all begin as the same text."""


@dataclass(frozen=True)
class Beam:
    """The beginning of a text."""

    tokens: tuple[int, ...] = ()
    logs: tuple[float, ...] = ()
    """The model's log-probability of each token."""
    tail: Tail | None = None
    """Its text, where there are stop strings to look for."""

    def longer(self, token: int, log: float) -> Beam:
        """This and a token more."""
        tail = self.tail and self.tail.copy()
        if tail:
            tail.add(token)
        return Beam((*self.tokens, token), (*self.logs, log), tail)


class Beams:
    """The beams of each prompt.

    Args:
        task: what is to be written.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._prompts = [_Prompt(task, n) for n in range(len(task.prompts)) if task.limits[n] > 0]
        self._all = {one.number: one for one in self._prompts}

    @property
    def written(self) -> list[Written]:
        """The best text of each prompt, when the search is over."""
        numbers = range(len(self._task.prompts))
        return [self._all[n].best() if n in self._all else Written(n) for n in numbers]

    def begin(self) -> list[int]:
        """See `Search`."""
        return [one.number for one in self._prompts for _ in one.beams]

    def choose(self, scores: Tensor) -> Chosen:
        """See `Search`."""
        task = self._task
        logs = scores.log_softmax(-1)
        beams = [(one, beam) for one in self._prompts for beam in one.beams]
        allowed = task.allowed(logs, [(one.number, beam.tokens) for one, beam in beams])
        rows, tokens, first = list[int](), list[int](), 0
        for one in self._prompts:
            behind = first + len(one.beams)
            parents = one.go_on(allowed[first:behind], logs[first:behind])
            rows += [first + parent for parent in parents]
            tokens += [beam.tokens[-1] for beam in one.beams]
            first = behind
        self._prompts = [one for one in self._prompts if one.beams]
        return rows, tokens


class _Prompt:
    """The beams of one prompt, and which of them have ended."""

    def __init__(self, task: Task, number: int) -> None:
        self.number, self._task, self._count = number, task, task.sampling.beams
        tail = task.tail(number) if task.sampling.stop else None
        self.beams = [Beam(tail=tail)] * self._count
        self._scores = torch.tensor([0.0, *[NO_BEAM] * (self._count - 1)])
        self._ended: list[tuple[float, Beam, End]] = []

    def go_on(self, allowed: Tensor, logs: Tensor) -> list[int]:
        """Take the log-probabilities [n, V] of what follows each beam.

        Returns:
            For each beam that goes on, by which of those before it begins; none in the end.
        """
        total = (allowed + self._scores.to(allowed.device)[:, None]).flatten()
        best = total.topk(min(2 * self._count, len(total)))
        own = logs.flatten()[best.indices].tolist()
        found = zip(best.values.tolist(), best.indices.tolist(), own, strict=True)
        going: list[tuple[float, int, Beam]] = []
        for place, (score, index, log) in enumerate(found):
            parent, token = divmod(index, logs.shape[1])
            beam = self.beams[parent].longer(token, log)
            end = self._end(beam)
            if end is None and len(going) < self._count:
                going.append((score, parent, beam))
            elif end is not None and place < self._count:
                self._ended.append((self._compared(score, beam), beam, end))
        self._ended = sorted(self._ended, key=lambda one: -one[0])[: self._count]
        if self._is_over(going):
            going = []
            self._task.ended()
        self._scores = torch.tensor([score for score, _, _ in going])
        self.beams = [beam for _, _, beam in going]
        return [parent for _, parent, _ in going]

    def best(self) -> Written:
        """The likeliest text that has ended."""
        score, beam, end = self._ended[0]
        count = len(beam.tokens) - (end == "end of document")
        tokens, tail = list(beam.tokens[:count]), self._task.tail(self.number)
        for token in tokens:
            tail.add(token)
        tail.finish()
        logs = list(beam.logs[:count])
        return Written(self.number, 0, tokens, logs, end, tail.text, score)

    def _end(self, beam: Beam) -> End | None:
        """Why a beam ends; `None` while it goes on."""
        if beam.tokens[-1] == self._task.end:
            return "end of document"
        if beam.tail and beam.tail.stopped:
            return "stop string"
        return "length" if len(beam.tokens) == self._task.limits[self.number] else None

    def _compared(self, score: float, beam: Beam) -> float:
        """A log-probability as texts of other lengths are compared with it."""
        penalty: float = len(beam.tokens) ** self._task.sampling.length_penalty
        return score / penalty

    def _is_over(self, going: list[tuple[float, int, Beam]]) -> bool:
        """Whether no beam goes on, or none could do better than those that have ended."""
        if not going:
            return True
        score, _, beam = going[0]
        full = len(self._ended) == self._count
        return full and self._compared(score, beam) <= self._ended[-1][0]
