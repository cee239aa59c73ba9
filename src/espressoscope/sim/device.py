"""One simulated camera without its network: sensor, pictures, clock, identity, and what it remembers.

Server half and picture half meet here. Connections, power and ports are `board`'s; what goes over the wire
is the families'.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from espressoscope.sim.faults import ActiveFaults, Fault
from espressoscope.sim.pictures import PictureSource
from espressoscope.sim.records import DEFAULT_KEEP_BYTES, DEFAULT_KEEP_FRAMES, FrameLog
from espressoscope.sim.sensor import Sensor

if TYPE_CHECKING:
    from espressoscope.sim.loop import Workshop

__all__ = ["Alarm", "Device", "DeviceOptions", "NoFrame", "Shot", "mac_of"]

_REQUESTS_KEPT: Final = 1000
_TICK_S: Final = 0.01
"""Pre-rendered cameras send in the same moments, so far apart: waking up for each costs more than sending."""

_DWELL_S: Final = 0.01
"""Pause at each autofocus position. A board takes a frame at each; here nobody is to wait that long."""

_FRAME_WAIT_S: Final = 4.0
"""``FB_GET_TIMEOUT``: the driver then gives up."""

_NAMES: Final = {
    "matchboxscope": "Matchboxscope",
    "easytarget": "ESP32 camera server",
    "camerawebserver": "CameraWebServer",
    "esphome": "esp32-cam",
    "tasmota": "Tasmota",
}


def mac_of(seed: int, number: int) -> str:
    """MAC of a simulated camera: locally administered, the same for the same seed and number."""
    digest = hashlib.sha256(f"espressoscope {seed} {number}".encode()).digest()
    return ":".join(f"{byte:02X}" for byte in (0x02, 0xE5, *digest[:4]))


class DeviceOptions(NamedTuple):
    """What is decided about a camera before it is switched on; see `SimulatedCamera` for the meaning."""

    firmware: str = "matchboxscope"
    number: int = 0
    seed: int = 0
    name: str | None = None
    framesize: str | None = None
    quality: int | None = None
    fps: float | None = None
    prerender: bool = False
    keep: int | Literal["all"] = DEFAULT_KEEP_FRAMES
    keep_bytes: int = DEFAULT_KEEP_BYTES
    side_delays: bool = True
    boot_s: float = 7.0
    rssi: int | None = None
    send_timeout_s: float = 5.0


class Shot(NamedTuple):
    """A picture out of a frame buffer; `stamp_us` is the driver's, since boot."""

    number: int
    jpeg: bytes
    stamp_us: int


class NoFrame(OSError):
    """No picture fitted the frame buffer for 4 s: ``FB-OVF``, and NULL from ``esp_camera_fb_get()``."""


class Alarm:
    """A wait that can be cut short.

    Attributes
    ----------
    left : bool
        The client has closed its side, noticed since this was last set to false.
    """

    def __init__(self) -> None:
        self.rung = False
        self.left = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """End the wait under way, or the next."""
        self.rung = True
        self._settle()

    def _settle(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait_until(self, when: float) -> None:
        """Wait until loop time `when` or the bell."""
        loop = asyncio.get_running_loop()
        if self.rung or when <= loop.time():
            self.rung = False
            return
        self._waiter = loop.create_future()
        timer = loop.call_at(when, self._settle)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
            self.rung = False


class Device:
    """Sensor, pictures and identity of one camera, used from the loop's thread only.

    Attributes
    ----------
    sensor : Sensor
        The settings.
    sent, captured : FrameLog
        Frames that went out on the stream, and as single pictures.
    requests : deque of str
        The last 1000 request lines, as they came.
    stream_kill : bool
        Set by ``/stop``: the stream loop ends after the frame under way.
    streams_may_run : asyncio.Event
        Clear while ``/capture`` holds the stream.
    stream_waits : asyncio.Event
        Set by the stream loop when it has noticed that, or has ended.
    """

    def __init__(self, options: DeviceOptions, workshop: Workshop) -> None:
        self.options = options
        self.name = options.name if options.name is not None else _NAMES[options.firmware]
        self.mac = mac_of(options.seed, options.number)
        # Pre-rendered cameras share their scenes, and with them the work; others have their own.
        scene = options.seed if options.prerender else options.seed + options.number
        self.sensor = Sensor(options.firmware, options.framesize, options.quality, seed=scene)
        self.sensor.motor.dwell_s = _DWELL_S
        self.pictures = PictureSource(self.sensor, options.number, scene, options.prerender)
        self.faults = ActiveFaults()
        self.random = random.Random(f"device {options.seed} {options.number}")
        self.sent = FrameLog(options.keep, options.keep_bytes)
        self.captured = FrameLog(
            min(256, options.keep) if options.keep != "all" else "all", options.keep_bytes
        )
        self.requests: deque[str] = deque(maxlen=_REQUESTS_KEPT)
        self.reboots = 0
        self.frame_room = self.sensor.frame_buffer_bytes
        self.frame_wait_s = _FRAME_WAIT_S
        self._workshop = workshop
        self._render_lock = threading.Lock()
        self._warm_for: object = None
        self._warming: asyncio.Task[None] | None = None
        self._camera = asyncio.Lock()
        self._next_number = 0
        self._next_due = 0.0
        self._queued: Shot | None = None
        self._queued_until = 0.0
        self._booted = time.monotonic()
        self._reset()

    def _reset(self) -> None:
        self.stream_kill = False
        self.streams_may_run = asyncio.Event()
        self.streams_may_run.set()
        self.stream_waits = asyncio.Event()
        self.active_streams = 0
        self.previous_streams = 0
        self.images_served = 0
        self._queued = None

    # --- time

    @property
    def uptime_us(self) -> int:
        """Microseconds since boot: ``esp_timer_get_time()``."""
        return int((time.monotonic() - self._booted) * 1e6)

    def boot(self) -> None:
        """Start anew: clock, counters and settings."""
        self._booted = time.monotonic()
        self.reboots += 1
        self.sensor.reboot()
        self.pictures.restart()
        self._camera = asyncio.Lock()
        self._reset()

    @property
    def period_s(self) -> float:
        """Seconds between frames; 0 for as fast as they are taken.

        The sensor's own, or as told; never less than ``min_frame_time``.
        """
        if self.options.fps is None:
            return 1.0 / self.sensor.max_fps()
        fastest = 1.0 / self.options.fps if self.options.fps else 0.0
        return max(fastest, self.sensor["min_frame_time"] / 1000)

    # --- frames

    async def take_frame(self, alarm: Alarm | None = None) -> Shot:
        """Wait for the sensor's next frame and take it: ``esp_camera_fb_get()``.

        Stream and single pictures compete for frames: each goes to one of them. `alarm` hurries the wait.

        Raises
        ------
        NoFrame
            Every picture of 4 s was larger than the frame buffer, and dropped.
        """
        shot = await self._next_frame(alarm)
        if len(shot.jpeg) <= self.frame_room:
            return shot
        loop = asyncio.get_running_loop()
        gives_up_at = loop.time() + self.frame_wait_s
        while len(shot.jpeg) > self.frame_room:
            if loop.time() >= gives_up_at:
                raise NoFrame("FB-OVF")
            await asyncio.sleep(_TICK_S)  # with `fps` 0 nothing else would let others run
            shot = await self._next_frame(None)
        return shot

    async def _next_frame(self, alarm: Alarm | None) -> Shot:
        async with self._camera:
            loop = asyncio.get_running_loop()
            period_s = self.period_s
            now = loop.time()
            if now < self._next_due:
                due = self._next_due
                if self.options.prerender:
                    due = math.ceil(due / _TICK_S) * _TICK_S
                await (alarm or Alarm()).wait_until(due)
                now = loop.time()
            # A reader that is late does not get a burst afterwards: buffers are overwritten, not queued.
            behind = now - self._next_due >= period_s
            self._next_due = (now if behind else self._next_due) + period_s
            queued, self._queued = self._queued, None
            if queued is not None:
                if now < self._queued_until:
                    return queued
                if self._next_number == queued.number + 1:  # overwritten before anybody saw it
                    self._next_number -= 1
            return self._repeat() or await self._shoot()

    def _repeat(self) -> Shot | None:
        """Give the next frame from the cycle; None for a live one, and before there is a picture."""
        if not self.options.prerender:
            return None
        self.prepare()
        number = self._next_number
        jpeg = self.pictures.repeat(number)
        if jpeg is None:
            return None
        self._next_number = number + 1
        return Shot(number, jpeg, self.uptime_us)

    async def _shoot(self) -> Shot:
        number = self._next_number
        self._next_number += 1
        stamp_us = self.uptime_us
        return Shot(number, await self._workshop.run(self._render, number), stamp_us)

    def prepare(self) -> None:
        """See to it that the cycle for the present settings gets made, where one is wanted."""
        if not self.options.prerender:
            return
        key = self.sensor.picture_key()
        if key != self._warm_for and self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._warm(key))

    async def prepared(self) -> None:
        """Wait until the cycle is complete."""
        self.prepare()
        if self._warming is not None:
            await asyncio.shield(self._warming)

    async def _warm(self, key: object) -> None:
        missing = 1
        try:
            while missing:
                # One camera at a time, a few pictures each: cameras that share a cycle share the work.
                async with self._workshop.warming:
                    missing = await self._workshop.run(self._warm_some)
            self._warm_for = key
        finally:
            self._warming = None

    def _warm_some(self) -> int:
        with self._render_lock:
            return self.pictures.warm(4)

    def cool(self) -> None:
        """Stop making pictures beforehand."""
        if self._warming is not None:
            self._warming.cancel()

    def _render(self, number: int) -> bytes:
        with self._render_lock:
            return self.pictures.render(number)

    async def take_single(self) -> Shot:
        """Take a frame for ``/capture``."""
        fault = self.faults.get("stale-capture")
        if fault is None:
            return await self.take_frame()
        fault.hits += 1
        queue = await self.fill_stale(fault)
        queue.append(await self.take_frame())
        return queue.pop(0)

    async def fill_stale(self, fault: Fault) -> list[Shot]:
        """Fill the buffers as CAMERA_GRAB_WHEN_EMPTY has them: once, long before anybody asks."""
        queue: list[Shot] = fault.state.setdefault("queue", [])
        if not fault.state.get("filled"):
            fault.state["filled"] = True
            async with self._camera:
                queue += [self._repeat() or await self._shoot() for _ in range(int(fault.number("depth")))]
        return queue

    async def set(self, var: str, value: int) -> bool:
        """Set a sensor variable; the frame being exposed meanwhile still has the old value.

        With two buffers and CAMERA_GRAB_LATEST the first frame taken within a frame time after a change was
        begun before it (esp32-camera#590): it is rendered here, before the change.
        """
        async with self._camera:
            if self._queued is None:
                self._queued = self._repeat() or await self._shoot()
                self._queued_until = asyncio.get_running_loop().time() + max(self.period_s, 0.01)
        return self.sensor.set(var, value)

    async def hold_stream(self) -> None:
        """Stop the stream between two frames, as ``IS_STREAM_PAUSE`` does; waits for its loop to notice.

        With a reader that does not read, that takes until the stream's send timeout, and no longer.
        """
        self.streams_may_run.clear()
        self.stream_waits.clear()
        if self.active_streams:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stream_waits.wait(), self.options.send_timeout_s)

    def release_stream(self) -> None:
        """Let the stream go on."""
        self.streams_may_run.set()

    async def side_delay(self, seconds: float) -> None:
        """Spend time the firmware spends on other things: LEDs, flash memory."""
        if self.options.side_delays and seconds > 0:
            await asyncio.sleep(seconds)
