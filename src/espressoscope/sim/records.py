"""What a simulated camera remembers of the frames it sent, for tests to compare with; bounded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, overload

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEFAULT_KEEP_BYTES", "DEFAULT_KEEP_FRAMES", "FrameLog", "Sent"]

DEFAULT_KEEP_FRAMES = 10_000
DEFAULT_KEEP_BYTES = 128 * 1024 * 1024


class Sent(NamedTuple):
    """A frame as it was sent.

    Attributes
    ----------
    number : int
        What the numbering strip says, before it is cut to 16 bits.
    jpeg : bytes
        The bytes between part header and boundary, faults included.
    """

    number: int
    jpeg: bytes


class FrameLog(Sequence[Sent]):
    """The newest frames sent, oldest first; reading it from another thread is safe.

    A frame is entered just before its first byte leaves and taken out again when it could not be sent
    whole, so a client always finds here what it has received.

    Parameters
    ----------
    keep : int or "all"
        Frames remembered at most.
    keep_bytes : int
        JPEG bytes remembered at most, whatever `keep` says; pictures of a pre-rendered cycle count like
        others.

    Attributes
    ----------
    total : int
        Frames sent, forgotten ones included.
    """

    def __init__(
        self, keep: int | Literal["all"] = DEFAULT_KEEP_FRAMES, keep_bytes: int = DEFAULT_KEEP_BYTES
    ) -> None:
        self._records: deque[Sent] = deque()
        self._keep = None if keep == "all" else keep
        self._keep_bytes = keep_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self.total = 0

    def enter(self, number: int, jpeg: bytes) -> None:
        """Remember a frame about to be sent."""
        if self._keep == 0:
            self.total += 1
            return
        with self._lock:
            self.total += 1
            self._records.append(Sent(number, jpeg))
            self._bytes += len(jpeg)
            while self._records and (
                self._bytes > self._keep_bytes or (self._keep is not None and len(self._records) > self._keep)
            ):
                self._bytes -= len(self._records.popleft().jpeg)

    def take_back(self, number: int) -> None:
        """Forget the newest frame: it was not sent whole."""
        if self._keep == 0:
            self.total -= 1
            return
        with self._lock:
            if self._records and self._records[-1].number == number:
                self.total -= 1
                self._bytes -= len(self._records.pop().jpeg)

    def clear(self) -> None:
        """Forget every frame; `total` goes on."""
        with self._lock:
            self._records.clear()
            self._bytes = 0

    def _snapshot(self) -> list[Sent]:
        with self._lock:
            return list(self._records)

    @overload
    def __getitem__(self, index: int) -> Sent: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sent]: ...
    def __getitem__(self, index: int | slice) -> Sent | list[Sent]:
        if isinstance(index, int):
            with self._lock:
                return self._records[index]
        return self._snapshot()[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Sent]:
        return iter(self._snapshot())

    def __repr__(self) -> str:
        return f"<FrameLog: {len(self)} of {self.total} frames>"
