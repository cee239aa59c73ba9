"""From the parts of one connection to numbered, counted frames in their consumers' hands.

One function, `Feed.part`, takes the usual frame all the way: it runs for every frame of every camera on the
one thread that reads them all, and what can be worked out when somebody looks is not worked out here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from espressoscope.engine.stats import FROZEN_AFTER, RING
from espressoscope.model import Frame
from espressoscope.wire.pictures import PictureReader

if TYPE_CHECKING:
    from espressoscope.engine.link import Link
    from espressoscope.model import FrameStatus
    from espressoscope.wire.events import Damage, Part

__all__ = ["Feed"]

_LOOK_NS = 1_200_000_000


class Feed:
    """What one connection feeds, a `StreamSink`; cut off from the link when that has moved on.

    Parameters
    ----------
    link : Link
        Who gets the frames.
    generation : int
        The link's, when this was made.

    Attributes
    ----------
    delivered : bool
        A whole frame has come.
    last_frame_ns : int
        `time.perf_counter_ns` of the newest whole one; of the beginning before the first.
    bytes_per_s : float
        How many bytes come, damaged pictures and all, by the last two looks.
    """

    __slots__ = (
        "_broken",
        "_damaged_before",
        "_generation",
        "_latest",
        "_link",
        "_looked",
        "_meter",
        "_read_usual",
        "_reader",
        "bytes_per_s",
        "delivered",
        "last_frame_ns",
    )

    def __init__(self, link: Link, generation: int) -> None:
        self.delivered = False
        self.last_frame_ns = now_ns = time.perf_counter_ns()
        self.bytes_per_s = 0.0
        self._looked = (now_ns, 0)
        self._damaged_before = link.meter.damaged
        self._generation = generation
        self._link: Link | None = link
        self._latest = link.latest
        self._meter = link.meter
        self._reader = PictureReader()
        self._read_usual = self._reader.read_usual
        self._broken = -1

    def cut(self) -> None:
        """Let nothing more through: a late callback must not feed a link that has moved on."""
        self._link = None

    @property
    def broke_off(self) -> bool:
        """Whether the newest frame came in part only."""
        return self._broken == self._meter.frames

    @property
    def damaged(self) -> int:
        """How many damaged pictures have come since the newest whole one, as far as looks tell."""
        return self._meter.damaged - self._damaged_before

    def look(self, now_ns: int, received: int) -> None:
        """Measure the pace of the bytes, now and then."""
        then_ns, before = self._looked
        if self.last_frame_ns > then_ns:
            self._damaged_before = self._meter.damaged
        if now_ns - then_ns > _LOOK_NS:
            self.bytes_per_s = (received - before) / (now_ns - then_ns) * 1e9
            self._looked = (now_ns, received)

    def part(self, part: Part, now_ns: int) -> None:
        """Take one part; its body is valid only during the call."""
        link = self._link
        if link is None:
            return
        jpeg = self._read_usual(part.body) if part.complete else None
        if jpeg is None or not link.usual or jpeg == link.newest_jpeg:
            self._unusual(link, part, jpeg, now_ns)
            return
        link.newest_jpeg = jpeg
        sequence = link.sequence
        link.sequence = sequence + 1
        reader = self._reader
        device_ns = part.device_ns
        received_ns = now_ns + link.wall_offset_ns
        frame = Frame(jpeg, sequence, received_ns, device_ns, reader.width, reader.height, link.name)
        # As `StreamMeter.count`.
        meter = self._meter
        number = meter.frames
        slot = number % RING
        meter.bytes = total = meter.bytes + len(jpeg)
        meter.times[slot] = self.last_frame_ns = now_ns
        meter.totals[slot] = total
        meter.stamps[slot] = device_ns
        meter.newest = frame
        meter.frames = number + 1
        self._latest.put(frame)
        for consumer in link.consumers:
            if consumer.put(frame):
                meter.dropped += 1

    def _unusual(self, link: Link, part: Part, jpeg: bytes | None, now_ns: int) -> None:
        """Take a part that is the first, the same again, damaged, or several pictures."""
        if jpeg is not None:
            self._deliver(link, part, jpeg, self._reader.width, self._reader.height, "ok", now_ns)
        elif part.content_type != "text/plain":  # ESPHome's "No frames send."
            for picture in self._reader.read(part.body, part.complete):
                self._deliver(link, part, picture.jpeg, picture.width, picture.height, picture.status, now_ns)
        if not part.complete:
            self._broken = self._meter.frames

    def _deliver(
        self,
        link: Link,
        part: Part,
        jpeg: bytes,
        width: int,
        height: int,
        status: FrameStatus,
        now_ns: int,
    ) -> None:
        meter = self._meter
        if status == "ok":
            if jpeg == link.newest_jpeg:
                status = "duplicate"
                if meter.repeats == 0:
                    meter.same_since_ns = self.last_frame_ns if self.delivered else now_ns
                meter.repeats += 1
                link.usual = False
                if meter.repeats == FROZEN_AFTER:
                    link.froze()
            else:
                if meter.frozen:
                    link.thawed()
                meter.repeats = 0
                link.newest_jpeg = jpeg
        frame = Frame(
            jpeg,
            link.next_sequence(),
            now_ns + link.wall_offset_ns,
            part.device_ns,
            width,
            height,
            link.name,
            status,
        )
        meter.count(frame, now_ns)
        if status == "ok" or status == "duplicate":
            self.last_frame_ns = now_ns
            self.delivered = True
            link.came_alive(self._generation)
            self._latest.put(frame)
        else:
            meter.damaged += 1
        for consumer in link.consumers:
            if consumer.put(frame):
                meter.dropped += 1

    def damage(self, damage: Damage) -> None:
        """Take note that the stream was out of step."""
        if self._link is not None:
            self._meter.damaged += 1
            self._link.out_of_step(damage)
