"""A fleet whose cameras are struck, one connection to each: whatever a program does with them at once.

Of each camera a thread reads every frame, and two do what a user's hands do while it is struck, and again
when it is over. One thread looks at figures, newest frames and the recording of all.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import espressoscope as es
from faults.matrix import have_been_seen
from faults.scene import PATIENCE_S
from faults.seen import Seen
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from faults.scene import Strike

__all__ = ["Live"]

STREAM_TIMEOUT_S: Final = 4.0
LATEST_TIMEOUT_S: Final = 1.0
STALE_S: Final = 6.0
"""What `Camera.latest` gives is never older."""
_LOOK_S: Final = 0.05
_HANDS_S: Final = 0.5
"""After the fault's beginning: then hands begin."""
_AGAIN_S: Final = 0.1
_RECENT_S: Final = 1.5
_FIGURES: Final = ("reconnects", "damaged", "dropped")
_WRITTEN: Final = ("damaged", "gaps", "missing", "dropped")
_TROUBLES: Final = (es.CameraError, TimeoutError)


class _One:
    """One camera of the fleet, and what is seen of it."""

    def __init__(self, name: str, camera: es.Camera, strike: Strike) -> None:
        self.name = name
        self.camera = camera
        self.strike = strike
        self.seen: dict[str, Seen] = defaultdict(Seen)
        self.over = threading.Event()
        self._acted = threading.Event()
        self._searched = threading.Event()
        for done in (self._acted, self._searched):
            strike.await_also(done.is_set)
        for consumer in ("stream", "latest"):
            strike.await_also(partial(have_been_seen, name, consumer, self.seen[consumer]))
        self.before: dict[str, dict[str, int]] = {}
        self.frames_at_end: int | None = None
        self.written_at_end: int | None = None
        self.well = False
        self.last: es.Frame | None = None
        self.decoded: list[float] = []
        self.written: list[tuple[float, int]] = []
        self.read = 0

    # ---- threads -----------------------------------------------------------------------------------

    def reads(self) -> None:
        """Read every frame, as a program does in a loop."""
        strike, seen = self.strike, self.seen["stream"]
        with self.camera.stream(buffer=64, timeout=STREAM_TIMEOUT_S) as stream:
            while not self.over.is_set():
                try:
                    for frame in stream:
                        self.read += 1
                        if frame.status not in ("ok", "duplicate"):
                            seen.state(frame.status)  # it has not asked for damaged ones
                        if strike.ended and seen.back_s is None and frame.status == "ok":
                            seen.back_s = strike.ended.ago_s()
                        if self.over.is_set():
                            break
                except _TROUBLES as error:
                    if strike.began and not strike.ended:
                        seen.say(str(error))
                        seen.state("raises")

    def searches(self) -> None:
        """Look for it, and open it once more: struck, and again until that succeeds."""
        seen = self.seen["discovery"]
        self._after_beginning()
        if not self._is_listed():
            seen.state("not found")
        if (error := self._trouble_opening()) is not None:
            seen.state("not opened")
            seen.say(str(error))
        self._searched.set()
        self._again(seen, lambda: self._is_listed() and self._trouble_opening() is None)

    def _is_listed(self) -> bool:
        port = urlsplit(self.strike.camera.url).port
        found = es.discover(networks="127.0.0.1/32", ports=[port])
        return any(info.name == self.strike.case.name for info in found)

    def _trouble_opening(self) -> Exception | None:
        try:
            with es.Camera(self.strike.camera.url):
                return None
        except _TROUBLES as error:
            return error

    def acts(self) -> None:
        """Set something, ask for the newest picture and for a fresh one; set again until it takes."""
        seen, strike, camera = self.seen["set"], self.strike, self.camera
        self._after_beginning()
        if (error := self._trouble(lambda: self._set(13))) is not None:
            seen.state("fails")
            seen.say(str(error))
        newest = self.seen["latest"]
        error = self._trouble(lambda: camera.latest(LATEST_TIMEOUT_S, after=self._newest()))
        if error is not None and strike.is_on:
            newest.state("raises")
            newest.say(str(error))
        self._snap()
        self._again(seen, lambda: self._trouble(lambda: self._set(14)) is None)

    def _newest(self) -> int:
        frame = self.last
        return -1 if frame is None else frame.sequence

    def _set(self, quality: int) -> None:
        results = self.camera.set(quality=quality)
        assert results["quality"].actual == quality

    def _snap(self) -> None:
        seen, strike = self.seen["snap"], self.strike
        called_ns = time.time_ns()
        if not strike.is_on:
            seen.state("asked too late")
        self._acted.set()
        try:
            frame = self.camera.snap()
        except _TROUBLES as error:
            seen.state("fails")
            seen.say(str(error))
            self._again(seen, lambda: self._trouble(self.camera.snap) is None)
            return
        if frame.received_ns < called_ns:
            seen.state("old")
        if frame.status != "ok":
            seen.state(frame.status)
        if strike.ended:
            seen.state("waits")
        strike.ended.wait(2 * PATIENCE_S)
        seen.back_s = max(0.0, strike.ended.ago_s()) if "waits" in seen.states else None

    def _after_beginning(self) -> None:
        self.strike.began.wait(2 * PATIENCE_S)
        time.sleep(_HANDS_S)

    def _trouble(self, act: Callable[[], object]) -> Exception | None:
        try:
            act()
        except _TROUBLES as error:
            return error
        return None

    def _again(self, seen: Seen, succeeds: Callable[[], bool]) -> None:
        """Try again and again when it is over, where it did not succeed before."""
        ended = self.strike.ended
        if not seen.states:
            return
        ended.wait(2 * PATIENCE_S)
        while ended.ago_s() < PATIENCE_S:
            if succeeds():
                seen.back_s = ended.ago_s()
                return
            time.sleep(_AGAIN_S)

    # ---- what the looker sees ----------------------------------------------------------------------

    def look(
        self,
        stats: es.StreamStats,
        message: str,
        newest: tuple[es.Frame | None, int],
        progress: es.RecordProgress,
        view: Any,
    ) -> None:
        """Take a look, from before the fault until all is well again."""
        strike = self.strike
        frame, asked_ns = newest
        self.last = frame or self.last
        figures = {name: getattr(stats, name) for name in _FIGURES}
        written = {name: getattr(progress, name) for name in _WRITTEN}
        decoded = {"failed": view.failed, "errors": view.errors}
        now = {"stream": figures, "record": written, "view": decoded}
        whole = progress.frames_written - progress.damaged
        if not strike.began:
            self.before = now
            return
        self.written.append((time.monotonic(), whole))
        stream, latest, record = self.seen["stream"], self.seen["latest"], self.seen["record"]
        if not self.well:
            stream.state(stats.state.value)
            stream.say(message)
            if stats.frozen:
                stream.state("frozen")
        if frame is None:
            latest.state("none")
        elif (asked_ns - frame.received_ns) / 1e9 > STALE_S:
            latest.state("old")
        if not strike.ended:
            return
        if self.frames_at_end is None:
            self.frames_at_end, self.written_at_end = stats.frames, self._written_before_end(0.0)
            if self.written_at_end == self._written_before_end(_RECENT_S):
                record.state("waits")
            if not any(0 < -strike.ended.ago_s(at) < _RECENT_S for at in self.decoded):
                self.seen["view"].state("waits")
        if latest.back_s is None and frame is not None and frame.received_ns > self._ended_ns():
            latest.back_s = strike.ended.ago_s()
        if record.back_s is None and whole > (self.written_at_end or 0):
            record.back_s = strike.ended.ago_s()
        live = stats.state is es.LinkState.LIVE and not message
        if not self.well and live and stats.frames > self.frames_at_end + 2:
            self.well = True
            for consumer, counts in now.items():
                self.seen[consumer].counted(self.before[consumer], counts)

    def _written_before_end(self, before_s: float) -> int:
        """Whole frames in the recording so long before the end of the fault."""
        ended_s = self.strike.ended.at_s
        assert ended_s is not None
        return max((count for at, count in self.written if at < ended_s - before_s), default=-1)

    def _ended_ns(self) -> int:
        return time.time_ns() - int(self.strike.ended.ago_s() * 1e9)


class Live:
    """The fleet, from its opening to its end.

    Parameters
    ----------
    strikes : Mapping of str to Strike
        By the names of cases.
    folder : Path
        For the recording.
    """

    def __init__(self, strikes: Mapping[str, Strike], folder: Path) -> None:
        self.fleet = es.Fleet([strike.camera.url for strike in strikes.values()]).open()
        self.folder = folder
        self._ones = {name: _One(name, self.fleet[name], strikes[name]) for name in strikes}
        self._threads: list[threading.Thread] = []
        self._looking = threading.Event()

    def begin(self) -> None:
        """Open streams, recording and view; all cameras are well when this returns."""
        fleet = self.fleet
        fleet.start()
        self.recorder = fleet.record(self.folder)
        self.view = fleet.view(self._shown, scale=8)
        for one in self._ones.values():
            for work in (one.reads, one.acts, one.searches):
                self._threads.append(threading.Thread(target=work, name=f"faults-{one.name}-{work.__name__}"))
        self._looker = threading.Thread(target=self._look, name="faults-looker")
        for thread in (*self._threads, self._looker):
            thread.start()
        wait_until(lambda: all(one.read > 3 for one in self._ones.values()), 30, what="all cameras")
        wait_until(lambda: not any(fleet.messages().values()), 10, what="no complaints")
        wait_until(lambda: all(one.decoded for one in self._ones.values()), 10, what="decoded pictures")

    def _shown(self, frame: es.Frame, picture: NDArray[np.uint8]) -> None:
        one = self._ones[frame.camera]
        one.decoded.append(time.monotonic())
        seen = one.seen["view"]
        if one.strike.ended and seen.back_s is None and frame.status == "ok":
            seen.back_s = one.strike.ended.ago_s()

    def _look(self) -> None:
        fleet = self.fleet
        while not self._looking.wait(_LOOK_S):
            asked_ns = time.time_ns()
            newest, stats, messages = fleet.latest(), fleet.stats(), fleet.messages()
            progress, views = self.recorder.progress, self.view.views
            for name, one in self._ones.items():
                one.look(stats[name], messages[name], (newest[name], asked_ns), progress[name], views[name])

    def end(self) -> dict[tuple[str, str], Seen]:
        """Wait until all is well, close, and give what was seen by case and consumer."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not all(one.well for one in self._ones.values()):
            time.sleep(_LOOK_S)
        for one in self._ones.values():
            one.over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        self._looking.set()
        self._looker.join(PATIENCE_S)
        self.recorder.stop()
        progress = self.recorder.progress
        self.fleet.close()
        run = es.open_run(self.folder)
        for name, one in self._ones.items():
            self._read_back(run[name], progress[name], one.seen["record"])
        return {
            (name, consumer): seen for name, one in self._ones.items() for consumer, seen in one.seen.items()
        }

    @staticmethod
    def _read_back(recording: Any, progress: es.RecordProgress, seen: Seen) -> None:
        """What is on the disk is what was told."""
        statuses = [record.status for record in recording.records]
        damaged = sum(status in ("truncated", "corrupt") for status in statuses)
        if len(statuses) != progress.frames_written:
            seen.state(f"{len(statuses)} read of {progress.frames_written}")
        if damaged != progress.damaged:
            seen.state(f"{damaged} damaged read of {progress.damaged}")
