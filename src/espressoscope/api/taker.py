"""Taking the pictures of one camera's points: reached again when it was away, the lamp never left on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from espressoscope.api.camera import Camera
from espressoscope.api.judged import judged
from espressoscope.api.roll import Roll, card_of
from espressoscope.api.run_facts import facts_of, values_of
from espressoscope.device.address import clean_text
from espressoscope.errors import CameraError, CameraTimeout, RemoteProtocolError, SettingError
from espressoscope.model import CameraInfo, Frame
from espressoscope.timelapse.walk import Taking

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from espressoscope.api.stream import FrameStream
    from espressoscope.lab.entries import Member
    from espressoscope.model import SettingValue
    from espressoscope.timelapse.clock import RunClock
    from espressoscope.timelapse.schedule import Schedule

__all__ = ["CameraTaker", "Trial"]

_LEAST_S: Final = 8.0
"""What an attempt may take at least: a camera's driver gives up after 4 s, and is asked three times."""
_UNDONE: Final = {"capture": "no picture came", "control": "it was not set", "connect": "it did not answer"}
_MOST_S: Final = 60.0
_LAMP_S: Final = 5.0
_LAMP_AGAIN_S: Final = 10.0
_LAST_S: Final = 8.0
"""For a camera to be reached once more at the end, when its lamp may be on."""
_STALE_FRAMES: Final = 2
_ACCEPT_DAMAGED: Final = 3
"""Attempts in a row after which a picture that is not whole is better than none."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a first try has shown of a camera.

    Attributes
    ----------
    name : str
    facts : Mapping
        For the files of the run.
    size : int or None
        Bytes of a picture; None where there was none.
    seconds : float
        What a point took.
    error : CameraError or None
        Why there was none.
    """

    name: str
    facts: Mapping[str, Any]
    size: int | None
    seconds: float
    error: CameraError | None


class CameraTaker:
    """Takes the pictures of one camera for a time-lapse: a `Taker`.

    The camera stays open from point to point, which costs it nothing: it has no connection meanwhile. After
    every failure it is opened anew at the next attempt, and so looked for elsewhere when its MAC is known.

    Parameters
    ----------
    camera : str, CameraInfo or Member
        As for `Camera`.
    schedule : Schedule
    clock : RunClock
    stop : threading.Event
        Ends waits.

    Attributes
    ----------
    told : mapping
        ``plate`` and ``well``, where the fleet file tells them; empty until it has been reached.
    """

    def __init__(
        self, camera: str | CameraInfo | Member, schedule: Schedule, clock: RunClock, stop: threading.Event
    ) -> None:
        self._asked_for = camera
        self._card = card_of(camera)
        self._schedule = schedule
        self._clock = clock
        self._stop = stop
        self._camera: Camera | None = None
        self._known: CameraInfo | None = None
        self._lock = threading.Lock()
        self._maybe_lit = False
        self._autolamp_off = False
        self._lamp_again = 0.0
        self._closed = False
        self._damaged = 0
        self._stream: FrameStream | None = None
        self.told: Mapping[str, str | float] = {}

    @property
    def given(self) -> str:
        """What was written for it; a password is never part of it."""
        return str(self._card)

    @property
    def info(self) -> CameraInfo | None:
        """What it is, once it has been reached."""
        return self._known

    def remember(self, facts: Mapping[str, Any], name: str) -> None:
        """Use what an earlier program has found out, so that it is found wherever it is by now.

        That program may have been killed with the lamp on: `tidy` sees to it.
        """
        self._maybe_lit = self._schedule.lamp is not None
        url, mac = facts.get("url"), facts.get("mac")
        if self._known is None and isinstance(url, str) and isinstance(mac, str):
            stream, firmware = facts.get("stream_url"), str(facts.get("firmware") or "unknown")
            stream = stream if isinstance(stream, str) else None
            self._known = CameraInfo(name, url, stream, mac, firmware, "given")

    # ---- before it begins ---------------------------------------------------------------------------

    def try_out(self) -> Trial:
        """Take a point once, to see what it needs."""
        began = time.monotonic()
        frames: Sequence[Frame] = ()
        error: CameraError | None = None
        try:
            self._opened(strict=True)
            began = time.monotonic()
            frames = self._attempt(_MOST_S).frames
        except CameraError as trouble:
            error = trouble
        seconds = time.monotonic() - began
        info = self._known
        return Trial(
            clean_text(self.given if info is None else info.name) or "camera",
            {} if info is None else facts_of(info),
            max((len(frame.jpeg) for frame in frames), default=None),
            seconds,
            error,
        )

    # ---- on its own thread --------------------------------------------------------------------------

    def take(self, deadline_ns: int) -> Taking:
        """Take the pictures of one point; see `Taker.take`."""
        left_s = (deadline_ns - self._clock.now_ns()) / 1e9
        try:
            self._opened()
            return self._attempt(min(_MOST_S, max(_LEAST_S, left_s)))
        except CameraError:
            self._let_go()
            raise

    def tidy(self) -> None:
        """Switch the lamp off, where it may still be on."""
        if not self._maybe_lit or time.monotonic() < self._lamp_again:
            return
        self._lamp_again = time.monotonic() + _LAMP_AGAIN_S
        try:
            self._opened()
            self._lamp_off()
        except CameraError as error:
            _log.info("%s: its lamp may be on, and it does not answer: %s", self.given, error)
            self._let_go()

    def interrupt(self) -> None:
        """End what it is doing; from another thread. The lamp is still switched off."""
        if self._closed:
            return  # what it does now is that
        camera = self._camera
        if camera is not None:
            camera._cancel_calls()
        stream = self._stream
        if stream is not None:
            stream.abandon()

    def close(self) -> None:
        """Let the camera go, with the lamp off if it can be reached; twice does nothing."""
        with self._lock:
            first, self._closed = not self._closed, True
        try:
            if first and (self._maybe_lit or self._autolamp_off):
                self._leave_dark()
        finally:
            self._let_go()

    def _leave_dark(self) -> None:
        """Switch the lamp off for good; where that fails, once more from the start. Bounded in time."""
        for _ in range(2):
            try:
                if self._camera is None:
                    self._camera = self._reached_again()
                if self._maybe_lit:
                    self._lamp_off()
                if self._autolamp_off:
                    result = _set(self._camera, {"autolamp": True}, strict=False).get("autolamp")
                    self._autolamp_off = result is None or not result.ok
            except CameraError as error:
                _log.info("%s: %s", self.given, error)
            if not (self._maybe_lit or self._autolamp_off):
                return
            self._let_go()
        name = self.given if self._known is None else self._known.name
        if self._maybe_lit:
            _log.error("%s (%s): its lamp may still be on: it could not be switched off", name, self.given)
        elif self._autolamp_off:
            _log.warning("%s (%s): its setting autolamp could not be switched on again", name, self.given)

    def _reached_again(self) -> Camera:
        camera = self._named_camera()
        try:
            runtime, session = camera._attach()
            camera._run(runtime, _within(session.reach, _LAST_S, "connect", self.given))
        except BaseException:
            camera.close()
            raise
        return camera

    def _opened(self, *, strict: bool = False) -> Camera:
        """Reach it, and give it the size and quality asked for."""
        with self._lock:
            if self._camera is not None:
                return self._camera
            camera = self._named_camera()
            camera.open()
            self._known = camera.info
            self._camera = camera
            self.told = camera._opened()[1].told
        wanted = {
            name: value
            for name, value in (("framesize", self._schedule.framesize), ("quality", self._schedule.quality))
            if value is not None
        }
        if wanted:
            kept = camera._opened()[1].upkeep.wanted
            results = camera.apply_profile({**kept, **wanted}, keep=True)
            bad = {name: results[name] for name in wanted if not results[name].ok}
            for name, result in bad.items():
                if strict:
                    raise SettingError(
                        f"{name}: {result.message}",
                        results=results,
                        camera=self.given,
                        hint="`espressoscope status CAMERA` tells what it can be set to",
                    )
                _log.warning("%s: %s: %s", self.given, name, result.message)
        return camera

    def _named_camera(self) -> Camera:
        """Make a camera of what was written, and of what has been found out since."""
        known, card = self._known, Roll().look_up(self._card)
        if known is None or known.mac is None or card.info is not None or card.address is None:
            return Camera(self._asked_for)  # the fleet file knows better where it is, or nobody does
        camera = Camera(known)
        address = camera._card.address
        assert address is not None
        camera._card = camera._card._replace(address=replace(address, auth=card.address.auth))
        return camera

    def _let_go(self) -> None:
        with self._lock:
            camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _attempt(self, limit_s: float) -> Taking:
        camera = self._camera
        assert camera is not None
        try:
            if self._schedule.lamp is not None:
                self._lamp_on(camera, self._schedule.lamp)
            frames = self._pictures(camera, limit_s)
        finally:
            if self._maybe_lit:
                with contextlib.suppress(CameraError):  # `tidy` goes on trying
                    self._lamp_off()
        return Taking(frames, values_of(camera.settings))

    def _pictures(self, camera: Camera, limit_s: float) -> list[Frame]:
        burst = self._schedule.burst
        if burst == 1:
            stills = camera._opened()[1].stills
            frames = [_bounded(camera, lambda: stills.snap(None), limit_s, "capture")]
            age_ns = _age_ns(camera, frames[0])
            received = [self._clock.now_ns() - age_ns]
        else:
            frames = self._burst(camera, burst, limit_s)
            received = [self._clock.now_ns() - _age_ns(camera, frame) for frame in frames]
        # Times of a camera's link are from the start of this program on; a computer may have slept since.
        frames = [judged(frame, time_ns) for frame, time_ns in zip(frames, received, strict=True)]
        damaged = [frame.status for frame in frames if frame.status not in ("ok", "duplicate")]
        self._damaged = self._damaged + 1 if damaged else 0
        if damaged and self._damaged < _ACCEPT_DAMAGED:
            raise RemoteProtocolError(
                f"its picture is {damaged[0]}",
                sample=frames[0].jpeg[:64],
                camera=self.given,
                hint="A smaller framesize or a higher quality number helps when pictures outgrow its buffer",
            )
        return frames

    def _burst(self, camera: Camera, count: int, limit_s: float) -> list[Frame]:
        """Take pictures in a row from its stream, past those that may have been begun before."""
        frames: list[Frame] = []
        end = time.monotonic() + limit_s
        buffer = count + _STALE_FRAMES + 8
        with camera.stream(buffer=buffer, timeout=min(limit_s, 10.0), damaged=True, interval=0.0) as stream:
            self._stream = stream
            try:
                for number, frame in enumerate(stream):
                    if number >= _STALE_FRAMES:
                        frames.append(frame)
                    if len(frames) == count or time.monotonic() > end or self._stop.is_set():
                        break
            finally:
                self._stream = None
        if len(frames) < count:
            raise CameraTimeout(
                f"{len(frames)} of {count} pictures within {limit_s:.3g} s",
                phase="stream",
                timeout_s=limit_s,
                camera=self.given,
                hint="A smaller burst, or a longer interval",
            )
        return frames

    # ---- the lamp -----------------------------------------------------------------------------------

    def _lamp_on(self, camera: Camera, level: int) -> None:
        if self._stop.is_set():
            raise CameraError("it was broken off", camera=self.given)
        self._maybe_lit = True
        values: dict[str, SettingValue] = {"lamp": level}
        automatic = camera.settings.get("autolamp")
        if automatic is not None and automatic.value is True:
            values["autolamp"] = False  # it would light the lamp for its own pictures only
            self._autolamp_off = True
        _set(camera, values, strict=True)
        self._clock.clock.sleep(self._schedule.settle_ns / 1e9, self._stop)
        if self._stop.is_set():
            raise CameraError("it was broken off", camera=self.given)

    def _lamp_off(self) -> None:
        camera = self._camera
        assert camera is not None
        result = _set(camera, {"lamp": 0}, strict=False).get("lamp")
        self._maybe_lit = result is None or not result.ok


def _set(camera: Camera, values: Mapping[str, SettingValue], *, strict: bool) -> Mapping[str, Any]:
    session = camera._opened()[1]
    return _bounded(camera, lambda: session.set(values, strict=strict), _LAMP_S, "control")


def _bounded(camera: Camera, work: Callable[[], Coroutine[Any, Any, _T]], limit_s: float, phase: str) -> _T:
    """Run a call that must not take longer than this."""
    runtime, session = camera._opened()
    return camera._run(runtime, _within(work, limit_s, phase, session.camera))


async def _within(work: Callable[[], Coroutine[Any, Any, _T]], limit_s: float, phase: str, camera: str) -> _T:
    try:
        async with asyncio.timeout(limit_s):
            return await work()  # made here: one that is never begun would be warned of
    except TimeoutError:
        raise CameraTimeout(
            f"{_UNDONE[phase]} within {limit_s:.3g} s", phase=phase, timeout_s=limit_s, camera=camera,
            hint="Its radio or its processor is too slow: a smaller framesize, or a longer interval",
        ) from None  # fmt: skip


def _age_ns(camera: Camera, frame: Frame) -> int:
    link = camera._opened()[1].link
    return max(0, link.wall_ns(time.perf_counter_ns()) - frame.received_ns)
