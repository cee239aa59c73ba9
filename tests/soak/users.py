"""Those who use the fleet while it is soaked, each on a thread of its own, through public names only."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import espressoscope as es
from soak.ledger import Name
from soak.recovery import PAUSED, Strike

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.api.stream import FrameStream
    from soak.findings import Findings
    from soak.ledger import Account
    from soak.recovery import Watch

__all__ = ["Hands", "Looker", "Overseer", "Reader", "SetTaker", "User"]

_SETTLED_S = 1.5
_COUNTERS = ("frames", "bytes", "reconnects", "damaged", "dropped", "superseded")


class User(threading.Thread):
    """A thread that uses the fleet until told to stop, or until the fleet is closed."""

    def __init__(self, name: str, findings: Findings) -> None:
        super().__init__(name=f"soak-{name}")
        self.findings = findings
        self.ending = threading.Event()

    def run(self) -> None:
        """Work until the fleet is closed."""
        try:
            self.work()
        except es.CameraError as error:
            if not self.ending.is_set():
                self.findings.add("user", f"{self.name} was ended by {error!r}")

    def work(self) -> None:
        """Do what this user does."""
        raise NotImplementedError


class Reader(User):
    """Takes every frame of one camera in order, damaged ones too."""

    def __init__(
        self, camera: es.Camera, name: str, healthy: bool, account: Account, watch: Watch, findings: Findings
    ) -> None:
        super().__init__(f"reader-{name}", findings)
        self.camera = camera
        self.camera_name = name
        self.healthy = healthy
        self.account = account
        self.watch = watch
        self._stream: FrameStream | None = None
        self.complaints: Counter[str] = Counter()

    def work(self) -> None:
        """Read until the fleet is closed."""
        with self.camera.stream(buffer=64, timeout=2.0, damaged=True) as stream:
            self._stream = stream
            before: es.Frame | None = None
            while not self.ending.is_set():
                try:
                    for frame in stream:
                        self._take(frame, before)
                        before = frame
                    break
                except (es.CameraTimeout, es.ConnectError, es.RemoteProtocolError) as error:
                    self.complaints[type(error).__name__] += 1
                    if self.healthy and not self.ending.is_set():
                        self.findings.add("healthy", f"{self.camera_name}: reading raised {error!r}")

    @property
    def dropped(self) -> int:
        """Frames let go because this reader was slow."""
        return 0 if self._stream is None else self._stream.dropped

    def _take(self, frame: es.Frame, before: es.Frame | None) -> None:
        now_s = time.perf_counter()
        self.account.note_received(Name.of(frame.jpeg), frame.status, self.watch.story)
        if frame.status in ("ok", "duplicate"):
            self.watch.whole(now_s, new=frame.status == "ok")
        if frame.camera != self.camera_name:
            self.findings.add("frame", f"{self.camera_name} gave a frame of {frame.camera}")
        if before is not None and frame.sequence <= before.sequence:
            self.findings.add("frame", f"{self.camera_name}: {frame.sequence} came after {before.sequence}")
        if before is not None and frame.received_ns < before.received_ns:
            self.findings.add("frame", f"{self.camera_name}: time went back at {frame.sequence}")


class Overseer(User):
    """Reads figures and messages four times a second: what they say must be so."""

    def __init__(self, fleet: es.Fleet, watches: Mapping[str, Watch], findings: Findings) -> None:
        super().__init__("overseer", findings)
        self.fleet = fleet
        self.watches = watches
        self.states: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.threads = 0
        self._since: dict[str, float] = {}
        self._before: dict[str, es.StreamStats] = {}

    def work(self) -> None:
        """Look until told to stop."""
        while not self.ending.wait(0.25):
            now_s = time.perf_counter()
            for watch in self.watches.values():
                watch.look(now_s)
            stats, messages = self.fleet.stats(), self.fleet.messages()
            ours = [thread for thread in threading.enumerate() if thread.name.startswith("espressoscope")]
            self.threads = max(self.threads, len(ours))
            for name, figures in stats.items():
                self._check(name, figures, messages[name], now_s)

    def _check(self, name: str, figures: es.StreamStats, message: str, now_s: float) -> None:
        self.states[str(figures.state)] += 1
        if message:
            self.messages[message[:60]] += 1
        before = self._before.get(name, figures)
        self._before[name] = figures
        for counter in _COUNTERS:
            if getattr(figures, counter) < getattr(before, counter):
                self.findings.add("figures", f"{name}: {counter} went down")
        calm = self.watches[name].untouched
        if not calm:
            self._since.pop(name, None)
        elif now_s - self._since.setdefault(name, now_s) > _SETTLED_S and (
            figures.state != "live" or message
        ):
            self.findings.add("figures", f"{name} is well, yet {figures.state.value}: {message!r}")


class Looker(User):
    """Takes the newest frame of all cameras, five times a second, as a display does."""

    def __init__(self, fleet: es.Fleet, healthy: set[str], findings: Findings) -> None:
        super().__init__("looker", findings)
        self.fleet = fleet
        self.healthy = healthy
        self.taken = 0
        self.longest_s = 0.0

    def work(self) -> None:
        """Look until told to stop."""
        while not self.ending.wait(0.2):
            began_s = time.perf_counter()
            frames = self.fleet.latest(timeout=0.5)
            self.longest_s = max(self.longest_s, time.perf_counter() - began_s)
            now_ns = time.time_ns()
            for name, frame in frames.items():
                self.taken += frame is not None
                if frame is None and name in self.healthy:
                    self.findings.add("healthy", f"{name}: latest() gave nothing")
                if frame is not None and now_ns - frame.received_ns > 7e9:
                    self.findings.add(
                        "frame",
                        f"{name}: latest() gave a frame {(now_ns - frame.received_ns) / 1e9:.1f} s old",
                    )


class SetTaker(User):
    """Takes sets of frames of one instant."""

    def __init__(self, fleet: es.Fleet, findings: Findings) -> None:
        super().__init__("sets", findings)
        self.fleet = fleet
        self.taken = 0
        self.places = 0
        self.filled = 0

    def work(self) -> None:
        """Take sets until the fleet is closed."""
        for frames in self.fleet.sets(tolerance_ms=100, timeout=10.0):
            self.taken += 1
            for name, frame in frames.frames.items():
                self.places += 1
                self.filled += frame is not None
                if frame is not None and abs(frame.received_ns - frames.time_ns) > 101e6:
                    self.findings.add("sets", f"{name}: a frame outside the tolerance")
            if self.ending.is_set():
                return


class Hands(User):
    """Sets something, takes a picture or asks for the status, now and then."""

    def __init__(
        self,
        fleet: es.Fleet,
        view: es.PictureView,
        healthy: Sequence[str],
        dice: random.Random,
        overseer: Overseer,
        findings: Findings,
    ) -> None:
        super().__init__("hands", findings)
        self.fleet = fleet
        self.view = view
        self.healthy = healthy
        self.dice = dice
        self.overseer = overseer
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._pauses = 0
        self._mosaic: NDArray[np.uint8] | None = None

    def work(self) -> None:
        """Do everything once, then this and that, until told to stop."""
        deeds: list[tuple[Callable[[], None], int]] = [
            (self.set_all, 3),
            (self.ask, 3),
            (self.snap_one, 3),
            (self.snap_all, 1),
            (self.large_still, 1),
            (self.limit, 1),
            (self.lock, 1),
            (self.zoom, 1),
            (self.draw, 1),
            (self.stop_and_start, 1),
        ]
        # What is used for the first time loads modules and takes room that is kept: all in the first minute.
        coming = [deed for deed, _ in deeds]
        while not self.ending.wait(self.dice.uniform(0.3, 2.5)):
            if not coming:
                coming = self.dice.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])
            deed = coming.pop()
            deed()
            self.done[deed.__name__] += 1

    def set_all(self) -> None:
        """Set all cameras."""
        report = self.fleet.set(brightness=self.dice.choice((0, 1)))
        for name, result in report.items():
            self._judge("set", name, result if isinstance(result, es.CameraError) else None)

    def ask(self) -> None:
        """Ask one camera for its status."""
        name = self.dice.choice(self.fleet.names)
        try:
            self.fleet[name].status()
        except es.CameraError as error:
            self._judge("status", name, error)

    def snap_one(self) -> None:
        """Take a picture with one camera."""
        name = self.dice.choice(self.fleet.names)
        try:
            self.fleet[name].snap()
        except es.CameraError as error:
            self._judge("snap", name, error)

    def snap_all(self) -> None:
        """Take a picture with all."""
        for name, result in self.fleet.snap().items():
            self._judge("snap", name, result if isinstance(result, es.CameraError) else None)

    def large_still(self) -> None:
        """Take a picture of another size with any camera, for which its stream pauses."""
        name = self.dice.choice([name for name in self.fleet.names if self.fleet[name].settings])
        watch = self.overseer.watches[name]
        self._pauses -= 1
        watch.began(self._pauses, Strike(PAUSED, {}, time.perf_counter()))
        try:
            frame = self.fleet[name].snap(framesize="VGA")
            if (frame.width, frame.height) != (640, 480):
                self.findings.add("healthy", f"{name}: a large still of {frame.width}x{frame.height}")
        except es.CameraError as error:
            self._judge("large still", name, error)
        finally:
            watch.ended(self._pauses, time.perf_counter(), 1)

    def limit(self) -> None:
        """Limit the frame rate of one camera that can do so itself, or lift the limit."""
        name = self.dice.choice(
            [name for name in self.fleet.names if "min_frame_time" in self.fleet[name].settings]
        )
        try:
            self.fleet[name].set(fps_limit=self.dice.choice((0, 4, 8)))
        except es.CameraError as error:
            self._judge("limit", name, error)

    def zoom(self) -> None:
        """Look at the pictures in another size."""
        self.view.scale = self.dice.choice((4, 4, 2, 8))
        self.view.gray = self.dice.random() < 0.3

    def draw(self) -> None:
        """Have all cameras drawn in one picture, the same array again and again, as a display does."""
        self._mosaic = self.fleet.mosaic(out=self._mosaic)
        if self._mosaic.ndim != 3:
            self.findings.add("user", "mosaic() gave no picture")

    def stop_and_start(self) -> None:
        """Stop the fleet's streams, which go on for their readers, and start them."""
        self.fleet.stop()
        self.fleet.start()

    def lock(self) -> None:
        """Copy the exposure of one camera to all."""
        name = self.dice.choice([name for name in self.healthy if self.fleet[name].settings])
        try:
            self.fleet.lock_exposure(to=name)
        except es.CameraError as error:
            self._judge("lock", name, error)

    def _judge(self, deed: str, name: str, error: es.CameraError | None) -> None:
        if error is None:
            return
        self.refused[f"{deed}: {type(error).__name__}"] += 1
        if name in self.healthy and not isinstance(error, es.UnsupportedError) and not self.ending.is_set():
            self.findings.add("healthy", f"{name}: {deed} raised {error!r}")


class Shown:
    """Counts the pictures a view shows."""

    def __init__(self) -> None:
        self.pictures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, frame: es.Frame, image: NDArray[np.uint8]) -> None:
        """Take one."""
        with self._lock:
            self.pictures[frame.camera] += 1


__all__ += ["Shown"]
