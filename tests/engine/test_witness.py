"""Which frames may teach the numbering of picture sizes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from espressoscope.engine.link import Link
from espressoscope.engine.witness import SizeWitness
from espressoscope.model import Frame

if TYPE_CHECKING:
    from espressoscope.device.stream import Source, StreamSink

_LATER_NS = 1_500_000_000


async def no_source(sink: StreamSink) -> Source:
    raise AssertionError("nothing is opened here")


def arrive(link: Link, width: int, height: int, *, after_ns: int = 0) -> None:
    received_ns = link.wall_ns(time.perf_counter_ns()) + after_ns
    link.latest.put(Frame(b"", link.next_sequence(), received_ns, None, width, height))


def test_frames_under_way_at_a_change_are_not_believed() -> None:
    link = Link("10.0.0.7", no_source)
    sizes = SizeWitness(link)
    assert sizes.size() is None
    arrive(link, 640, 480, after_ns=_LATER_NS)
    assert sizes.size() == (640, 480)
    with sizes.changing():
        assert sizes.size() is None
        arrive(link, 640, 480, after_ns=_LATER_NS)
        assert sizes.size() is None
    for _ in range(3):
        arrive(link, 640, 480, after_ns=_LATER_NS)
        assert sizes.size() is None
    arrive(link, 1024, 768, after_ns=_LATER_NS)
    assert sizes.size() == (1024, 768)


def test_a_fast_stream_waits_a_second() -> None:
    link = Link("10.0.0.7", no_source)
    sizes = SizeWitness(link)
    sizes.note_change()
    for _ in range(10):
        arrive(link, 640, 480)
    assert sizes.size() is None


def test_a_capture_is_believed_until_the_next_change() -> None:
    sizes = SizeWitness(Link("10.0.0.7", no_source))
    sizes.note_capture(800, 600)
    assert sizes.size() == (800, 600)
    sizes.note_change()
    assert sizes.size() is None
    with sizes.changing():
        sizes.note_capture(800, 600)
    assert sizes.size() is None
