"""A radio channel: carries Ethernet frames between virtual network cards, as badly as it is told.

Run as a program by `Lan`: the descriptors of the cards as arguments. A line of JSON on stdin changes how it
carries; an empty line is answered with what became of the frames so far. It ends with stdin.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import sys
import time
from dataclasses import dataclass, field, replace

MOST_HELD = 20_000  # frames under way
LONGEST = 65_536


@dataclass(frozen=True, slots=True)
class Air:
    """How the channel carries.

    Attributes
    ----------
    loss : float
        Share of frames that vanish, each by itself.
    delay_s, jitter_s : float
        Time on the way: the first, and at random up to the second on top. Frames stay in order.
    reorder : float
        Share of frames that come `late_s` later than their turn, so that others overtake them.
    late_s : float
    rate : float
        Bits per second, of all cards together, both ways: there is one channel. 0: no limit.
    queue : int
        Bytes that wait for it at most; then frames are dropped.
    pause_every_s, pause_s : float
        A channel taken by others: about so often nothing passes, for up to so long. What came waits.
    down : list of int
        Cards that neither send nor hear.
    """

    loss: float = 0.0
    delay_s: float = 0.001
    jitter_s: float = 0.0
    reorder: float = 0.0
    late_s: float = 0.03
    rate: float = 0.0
    queue: int = 64_000
    pause_every_s: float = 0.0
    pause_s: float = 0.0
    down: list[int] = field(default_factory=list)


class Radio:
    def __init__(self, cards: list[int], seed: int = 1) -> None:
        self.cards = cards
        self.air = Air()
        self.carried = self.lost = self.crowded = 0
        self._random = random.Random(seed)
        self._where: dict[bytes, int] = {}
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._free_at = 0.0
        self._last_due: dict[tuple[int, int], float] = {}
        self._pause_at = self._pause_end = 0.0

    def run(self) -> None:
        poll = select.poll()
        for descriptor in (0, *self.cards):
            poll.register(descriptor, select.POLLIN)
        while True:
            now = time.monotonic()
            while self._under_way and self._under_way[0][0] <= now:
                self._arrive(*heapq.heappop(self._under_way))
            wait_ms = (self._under_way[0][0] - now) * 1000 if self._under_way else 1000
            for descriptor, _ in poll.poll(max(0.0, wait_ms)):
                if descriptor == 0:
                    line = sys.stdin.buffer.readline()
                    if not line:
                        return
                    self._listen(line)
                else:
                    self._take(os.read(descriptor, LONGEST), self.cards.index(descriptor))

    def _listen(self, line: bytes) -> None:
        if line.strip():
            self.air = replace(Air(), **json.loads(line))
            self._pause_at = self._pause_end = 0.0
        told = {"carried": self.carried, "lost": self.lost, "crowded": self.crowded}
        print(json.dumps(told), flush=True)

    def _take(self, frame: bytes, source: int) -> None:
        self._where[frame[6:12]] = source
        target = self._where.get(frame[:6])
        if frame[0] & 1 or target is None:
            for each in range(len(self.cards)):
                if each != source:
                    self._carry(frame, source, each)
        elif target != source:
            self._carry(frame, source, target)

    def _carry(self, frame: bytes, source: int, target: int) -> None:
        air, now = self.air, time.monotonic()
        gone = source in air.down or target in air.down or self._random.random() < air.loss
        if gone or len(self._under_way) >= MOST_HELD:
            self.lost += 1
            return
        due = now
        if air.rate:
            begun = max(now, self._free_at)
            if (begun - now) * air.rate / 8 > air.queue:
                self.crowded += 1
                return
            due = self._free_at = begun + len(frame) * 8 / air.rate
        due = self._after_pause(due, now) + air.delay_s + air.jitter_s * self._random.random()
        if self._random.random() < air.reorder:
            due += air.late_s
        else:
            due = max(due, self._last_due.get((source, target), 0.0))
            self._last_due[source, target] = due
        self._count += 1
        heapq.heappush(self._under_way, (due, self._count, target, frame))

    def _after_pause(self, due: float, now: float) -> float:
        air = self.air
        if not air.pause_every_s:
            return due
        if now >= self._pause_end and now >= self._pause_at:
            if self._pause_at:
                self._pause_end = now + air.pause_s * self._random.uniform(0.3, 1.0)
            self._pause_at = max(now, self._pause_end) + self._random.expovariate(1 / air.pause_every_s)
        return max(due, self._pause_end)

    def _arrive(self, due: float, count: int, target: int, frame: bytes) -> None:
        if target in self.air.down:
            self.lost += 1
            return
        try:
            os.write(self.cards[target], frame)
            self.carried += 1
        except OSError:  # the card is down, or its namespace has gone
            self.lost += 1


if __name__ == "__main__":
    Radio([int(word) for word in sys.argv[1:]]).run()
