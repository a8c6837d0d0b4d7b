"""A file that is damaged in one place: bytes changed, taken out or put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Damage:
    """What happens at one place."""

    where: float
    """The share of the record, and of the file, before it."""
    record: float
    taken: int
    """Bytes that go."""
    put: bytes
    """What comes in their place."""

    def of(self, content: bytes) -> bytes:
        """The content with the damage."""
        at = int(self.where * len(content))
        return content[:at] + self.put + content[at + self.taken :]

    def one_of(self, records: Sequence[bytes]) -> bytes:
        """Records behind each other, of which one is damaged."""
        number = int(self.record * len(records))
        one = records[number]
        taken = min(self.taken, len(one) - int(self.where * len(one)))
        harmed = Damage(self.where, 0, taken, self.put).of(one)
        return b"".join([*records[:number], harmed, *records[number + 1 :]])


def some_bytes(least: int, most: int) -> st.SearchStrategy[bytes]:
    """Any bytes; `st.binary` also tries magics found in the library."""
    return st.lists(st.integers(0, 255), min_size=least, max_size=most).map(bytes)


share = st.floats(0, 1, exclude_max=True)
damages = st.one_of(
    st.builds(Damage, share, share, st.just(1), some_bytes(1, 1)),
    st.builds(Damage, share, share, st.integers(1, 9), st.just(b"")),
    st.builds(Damage, share, share, st.just(0), some_bytes(1, 9)),
    st.builds(Damage, share, share, st.just(0), st.integers(9, 9999).map(bytes)),
)
"""A changed byte, some bytes missing, some too many, a block of zeros."""
