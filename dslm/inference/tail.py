"""The text of tokens while they are written: whole characters, up to a stop string.

A token may end within a character, or begin a stop string that others complete; what is not yet
certain is held back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
BROKEN = "\ufffd"
"""What a decoder writes for a character of which bytes are missing."""


class Tail:
    """What has been written behind a prompt.

    Args:
        decode: makes a text of ids.
        given: the ids of the prompt.
        stop: strings before which the text ends.
    """

    def __init__(self, decode: Decode, given: Sequence[int], stop: Sequence[str]) -> None:
        self._decode, self._stop = decode, stop
        self._ids = list(given)
        # Ids are decoded with those before them, because many tokenizers write a token otherwise
        # at the beginning of a text.
        self._before, self._read = 0, len(given)
        self._shown = 0
        self.text = ""
        """All that is certain to be written."""
        self.stopped = False
        """Whether a stop string was met, before which the text ends."""

    def add(self, token: int) -> str:
        """One token more; returns what is new of the text and will stay."""
        self._ids.append(token)
        self._decoded(partly=False)
        return self._show(len(self.text) - self._possible())

    def finish(self) -> str:
        """No more tokens; returns what was held back."""
        if not self.stopped:
            self._decoded(partly=True)
        return self._show(len(self.text))

    def copy(self) -> Tail:
        """Another that goes on from here."""
        made = copy.copy(self)
        made._ids = self._ids.copy()
        return made

    def _decoded(self, partly: bool) -> None:
        """Decode the newest ids, if they end with a whole character or may be part of one."""
        known = self._decode(self._ids[self._before : self._read])
        text = self._decode(self._ids[self._before :])
        if len(text) <= len(known) or (text.endswith(BROKEN) and not partly):
            return
        looked_at = max(0, len(self.text) - max(map(len, self._stop), default=0))
        self.text += text[len(known) :]
        self._before, self._read = self._read, len(self._ids)
        found = [self.text.find(stop, looked_at) for stop in self._stop]
        if places := [place for place in found if place >= 0]:
            self.text, self.stopped = self.text[: min(places)], True

    def _possible(self) -> int:
        """Characters at the end of the text that may begin a stop string."""
        if self.stopped:
            return 0
        longest = max(map(len, self._stop), default=1) - 1
        ends = (self.text[-size:] for size in range(min(longest, len(self.text)), 0, -1))
        return next((len(e) for e in ends if any(stop.startswith(e) for stop in self._stop)), 0)

    def _show(self, until: int) -> str:
        new = self.text[self._shown : until]
        self._shown = max(self._shown, until)
        return new
