"""Every healthy camera keeps 99 % of its frames, and every frame called ok was sent exactly so.

The simulator tells the names (`Name`) of the pictures it sent, the readers those of the frames they received.
Both come late and in any order, so each waits for its counterpart, for a bounded time. Counted is from the
first frame a reader took on.

Where part headers lie about lengths, or tell none, what follows a picture on the wire can become part of the
frame: a line end, noise. Where a stream breaks off within the stale bytes behind a picture, some of them are
not. Such a frame counts as sent when it is the sent picture up to its end marker.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["LATEST_S", "Account", "Name"]

LATEST_S = 60.0
"""A stalled camera may tell of a frame this much later than it was received, and the other way round."""
_LIES = ("no-length", "wrong-length")
_BREAKS = ("cut", "reboot", "vanish", "stall")
_END = b"\xff\xd9"


class Name(NamedTuple):
    """Two digests for a picture: of all its bytes, and of those up to its first end marker."""

    whole: str
    core: str

    @classmethod
    def of(cls, jpeg: bytes) -> Name:
        """Give the name of a simulated picture, which has no thumbnail with an end marker of its own."""
        end = jpeg.find(_END) + len(_END)
        whole = _digest(jpeg)
        return cls(whole, whole if end in (1, len(jpeg)) else _digest(jpeg[:end]))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class _Waiting(NamedTuple):
    since_s: float
    name: Name
    lies: bool
    story: str


class Account:
    """Frames of one camera, sent and received.

    Attributes
    ----------
    sent, lost : int
        Frames the simulator sent on the stream, and those of them that never came.
    received : collections.Counter
        Frames received, by their status.
    """

    def __init__(self, name: str, fail: Callable[[str], None]) -> None:
        self.sent = 0
        self.lost = 0
        self.received: Counter[str] = Counter()
        self._name = name
        self._fail = fail
        self._lock = threading.Lock()
        self._began = False
        self._sent: deque[tuple[float, Name]] = deque()
        self._received: deque[_Waiting] = deque()
        self._singles: deque[str] = deque(maxlen=100)

    def note_sent(self, names: Iterable[Name]) -> None:
        """Take note of frames sent on the stream."""
        now = time.monotonic()
        with self._lock:
            for name in names:
                self.sent += 1
                found = next((each for each in self._received if _same(name, each.name, each.lies)), None)
                if found is None:
                    self._sent.append((now, name))
                else:
                    self._received.remove(found)
                    self._matched()
            self._settle(now - LATEST_S)

    def note_single(self, names: Iterable[Name]) -> None:
        """Take note of single pictures sent, which nobody need have received as frames."""
        with self._lock:
            for name in names:
                found = next((each for each in self._received if each.name.whole == name.whole), None)
                if found is None:
                    self._singles.append(name.whole)
                else:
                    self._received.remove(found)

    def note_received(self, name: Name, status: str, story: str) -> None:
        """Take note of a frame received; damaged ones need not be as they were sent.

        Parameters
        ----------
        name, status : Name, str
            Which one it is, and what it is said to be.
        story : str
            What had happened to the camera lately.
        """
        lies = any(fault in story for fault in _LIES)
        if "stale-bytes" in story and any(fault in story for fault in _BREAKS):
            lies = True
        with self._lock:
            self.received[status] += 1
            found = next((each for each in self._sent if _same(each[1], name, lies)), None)
            if found is not None:
                self._sent.remove(found)
                self._matched()
            elif name.whole in self._singles:
                self._singles.remove(name.whole)
            elif status in ("ok", "duplicate"):
                self._received.append(_Waiting(time.monotonic(), name, lies, f"{status}, {story}"))

    def close(self, told_s: float) -> None:
        """Wait for no more counterparts.

        Parameters
        ----------
        told_s : float
            `time.monotonic` up to which all that was sent has been told: what was received before must match.
        """
        with self._lock:
            while self._received and self._received[-1].since_s > told_s:
                self._received.pop()
            self._settle(float("inf"))

    @property
    def kept(self) -> float:
        """Share of its frames that were received."""
        return 1.0 if self.sent == 0 else 1.0 - self.lost / self.sent

    def _matched(self) -> None:
        if not self._began:
            self._began = True
            self.sent = 1
            self._sent.clear()

    def _settle(self, before_s: float) -> None:
        while self._sent and self._sent[0][0] < before_s:
            self._sent.popleft()
            self.lost += 1
        while self._received and self._received[0].since_s < before_s:
            self._fail(f"{self._name}: a frame that was never sent so: {self._received.popleft().story}")


def _same(sent: Name, received: Name, lies: bool) -> bool:
    return sent.whole == received.whole or (lies and sent.core == received.core)
