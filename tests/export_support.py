"""What the tests of exports share: runs with everything in them that happens to recordings."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from espressoscope.model import Frame
from espressoscope.recording.writer import RunWriter
from recording_support import SOFTWARE, jpeg
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from espressoscope.model import FrameStatus

START_NS = 1_795_000_000_123_456_789
SMALL, LARGE = (64, 48), (96, 64)


class Tape:
    """The frames of one camera, at times told for each."""

    def __init__(self, name: str, start_ns: int = START_NS) -> None:
        self.name = name
        self.frames: list[Frame] = []
        self.strays: list[Frame] = []
        self._at = start_ns
        self._sequence = 0

    def add(
        self,
        after_ms: float,
        *,
        size: tuple[int, int] = SMALL,
        data: bytes | None = None,
        status: FrameStatus = "ok",
        lost: int = 0,
    ) -> Frame:
        """Take one more, so many milliseconds after the one before."""
        self._at += round(after_ms * 1e6)
        self._sequence += lost
        jpeg_bytes = jpeg(*size, self._sequence % 8) if data is None else data
        device_ns = self._sequence * 40_000_000 if self._sequence % 2 else None
        frame = Frame(jpeg_bytes, self._sequence, self._at, device_ns, *size, self.name, status)
        self._sequence += 1
        self.frames.append(frame)
        return frame

    def steady(self, count: int, every_ms: float = 40.0, **keys: Any) -> Tape:
        """Take many, evenly."""
        for _ in range(count):
            self.add(every_ms, **keys)
        return self


def plain(name: str = "A1", count: int = 30, start_ns: int = START_NS) -> Tape:
    """A camera at 25 fps with a jitter, and two frames in one millisecond; stale bytes behind some."""
    tape = Tape(name, start_ns)
    tape.add(0)
    for number in range(1, count):
        stale = jpeg(*SMALL, number % 8) + b"\xff\xd9stale" if number % 5 == 0 else None
        tape.add(0.2 if number == 7 else 40 + number % 3 * 1.7, data=stale)
    return tape


def eventful(name: str = "B: 1/x") -> Tape:
    """A gap of three minutes, a truncated and a repeated frame, a stray size, and a new size in the end."""
    tape = Tape(name, START_NS + 3_000_000).steady(5)
    tape.add(180_000, lost=12)
    tape.add(40, data=jpeg(*SMALL, 3)[:300], status="truncated")
    tape.add(40, data=tape.frames[5].jpeg, status="duplicate")
    tape.strays.append(tape.add(40, size=LARGE))
    tape.steady(4)
    return tape.steady(6, size=LARGE)


def program(name: str) -> str:
    """Find one of ffmpeg's programs; the test is skipped where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip("ffmpeg is not installed (Debian: apt-get install ffmpeg)")
    return found


def write_run(path: Path, tapes: Iterable[Tape], facts: dict[str, dict[str, Any]] | None = None) -> Path:
    """Record these frames with the program's own writer."""
    writer = RunWriter(path, SOFTWARE)
    try:
        pairs = [(tape, writer.add(tape.name, (facts or {}).get(tape.name, {}))) for tape in tapes]
        writer.start()
        for tape, track in pairs:
            for number, frame in enumerate(tape.frames):
                if number % 500 == 499:
                    wait_until(lambda n=number, t=track: t.frames_written >= n - 1, 30)  # type: ignore[misc]
                assert not track.put(frame)
            track.note("settings", '{"quality": 12}', tape.frames[-1].received_ns)
    finally:
        writer.close()
    assert writer.trouble is None
    return path


def whole(tape: Tape, size: tuple[int, int] = SMALL) -> list[Frame]:
    """Give its frames that are pictures of this size and no strays."""
    good = [frame for frame in tape.frames if frame.status in ("ok", "duplicate")]
    return [frame for frame in good if (frame.width, frame.height) == size and frame not in tape.strays]
