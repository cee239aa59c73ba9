"""One camera in use: its device and its link together, and the work that needs both.

A fresh picture while streaming comes from the stream; a large still pauses the stream; the numbering of
picture sizes
is learned from frames at hand. Asynchronous: everything runs on the loop's thread, except reading `link`'s
slot, subscriptions and figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from espressoscope.device.camera import CameraDevice
from espressoscope.device.identify import identify_or_raise
from espressoscope.device.probe import Relay, probe_stream
from espressoscope.device.snapshots import SnapshotPoller, WrongSizeError, capture_fresh
from espressoscope.device.stream import open_stream
from espressoscope.engine.link import Link
from espressoscope.engine.witness import SizeWitness
from espressoscope.errors import CameraError, CameraTimeout, ConnectError, ConnectReason, UnsupportedError
from espressoscope.model import CameraInfo, Frame
from espressoscope.tables.framesizes import SIZES
from espressoscope.wire.pictures import PictureReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.device.address import Address
    from espressoscope.device.stream import Source, StreamConnection, StreamSink
    from espressoscope.model import SetResult, SettingValue
    from espressoscope.wire.events import Part

__all__ = ["CameraSession", "StreamSource"]

StreamSource = Literal["auto", "mjpeg", "snapshots"]

_SNAP_TIMEOUT_S = 15.0
_RESTORE_S = 0.4
_FRESH_FRAMES = 3
_FRESH_AFTER_NS = 300_000_000


class CameraSession:
    """A camera that has been reached.

    Made by `CameraSession.open`. Exactly one of a control port (`device`) and a bare stream address is there.
    """

    def __init__(self, info: CameraInfo, device: CameraDevice | None, stream: Address | None) -> None:
        self.info = info
        self.device = device
        self.camera = info.name if device is None else device.camera
        self._stream = stream
        self._mode: Literal["mjpeg", "snapshots"] = "mjpeg"
        self._interval_s = 1.0
        self._ready_source: tuple[StreamConnection, Relay] | None = None
        self._users = 0
        self.kept = False
        self._pausing = asyncio.Lock()
        self.closed = False
        self.link = Link(self.camera, self._open_source)
        self.link.identify(
            info.name,
            control_answers=None if device is None else device.answers,
            newcomer_steals=device is not None and device.family.newcomer_steals,
        )
        self._sizes = SizeWitness(self.link)

    @classmethod
    async def open(cls, address: Address, found_by: str = "given") -> CameraSession:
        """Reach a camera and recognise it.

        A URL with a path is tried as a bare MJPEG stream first; one without, and a plain host, as a camera's
        control base first. A stream that was opened to find out is kept: some servers serve one client only,
        once.

        Raises
        ------
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        has_path = address.path not in ("", "/")
        if has_path:
            found = await probe_stream(address)
            if found is not None:
                return cls._bare(*found)
        base = replace(address, path="")
        try:
            identity = await identify_or_raise(base, found_by=found_by)
        except ConnectError as error:
            if has_path or error.reason is not ConnectReason.NOT_A_CAMERA:
                raise
            found = await probe_stream(replace(base, path="/"))
            if found is None:
                raise
            return cls._bare(*found)
        device = CameraDevice(base, identity)
        return cls(identity.info, device, identity.stream)

    @classmethod
    def _bare(cls, address: Address, connection: StreamConnection, relay: Relay) -> CameraSession:
        info = CameraInfo(
            name=address.netloc,
            url=address.url,
            stream_url=address.url,
            mac=None,
            firmware="unknown",
            found_by="given",
        )
        session = cls(info, None, address)
        session._ready_source = (connection, relay)
        # An open stream that nobody reads would fill with old frames.
        session.kept = True
        session.link.start()
        return session

    async def close(self) -> None:
        """Stop the stream and let its waiters go; twice does nothing."""
        self.closed = True
        await self.link.stop()
        # A large still that was broken off is restoring the camera's size: that takes two short requests.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RESTORE_S), self._pausing:
                pass
        if self._ready_source is not None:
            self._ready_source[0].abort()
            self._ready_source = None

    def _check_open(self) -> None:
        if self.closed:
            raise CameraError("it has been closed", camera=self.camera, hint="Call open() to use it again")

    # ---- the stream -----------------------------------------------------------------------------

    async def keep_streaming(self, source: StreamSource = "auto") -> None:
        """Start the stream and keep it until `close`."""
        async with self._pausing:
            self._check_open()
            self._choose(source, None)
            self.kept = True
            self.link.start()

    async def begin_streaming(self, source: StreamSource, interval_s: float | None) -> None:
        """Start the stream for one more consumer."""
        async with self._pausing:
            self._check_open()
            self._choose(source, interval_s)
            self._users += 1
            self.link.start()

    async def end_streaming(self) -> None:
        """One consumer less; the last one stops the stream, unless it is kept."""
        self._users -= 1
        if self._users == 0 and not self.kept:
            await self.link.stop()

    def _choose(self, source: StreamSource, interval_s: float | None) -> None:
        wanted = source
        if source == "auto":
            wanted = "mjpeg" if self._stream is not None else "snapshots"
        if wanted == "mjpeg" and self._stream is None:
            raise UnsupportedError(
                "it has no stream", camera=self.camera, hint='Use stream(source="snapshots") instead'
            )
        if wanted == "snapshots":
            self._device().snapshot_path()
        if not self.link.stopped and wanted != self._mode:
            if source == "auto":
                return
            raise UnsupportedError(
                f"it is already sending {self._mode}",
                camera=self.camera,
                hint="Pictures from /capture beside a stream can freeze the camera: end the stream first",
            )
        self._mode = "snapshots" if wanted == "snapshots" else "mjpeg"
        if interval_s is not None:
            self._interval_s = interval_s

    async def _open_source(self, sink: StreamSink) -> Source:
        if self._mode == "snapshots":
            device = self._device()
            return SnapshotPoller(device.port, device.snapshot_path(), sink, self._interval_s)
        if self._ready_source is not None:
            connection, relay = self._ready_source
            self._ready_source = None
            relay.pass_on_to(sink)
            return connection
        assert self._stream is not None
        return await open_stream(self._stream, sink, camera=self.camera)

    # ---- settings -------------------------------------------------------------------------------

    def _device(self) -> CameraDevice:
        if self.device is None:
            raise UnsupportedError(
                "this is a bare MJPEG stream: it can be watched, not controlled",
                camera=self.camera,
                hint="Give the camera's own address, without a path, to control it",
            )
        return self.device

    @property
    def controls(self) -> CameraDevice:
        """The device behind the control port.

        Raises
        ------
        UnsupportedError
            This is a bare MJPEG stream.
        """
        return self._device()

    async def status(self) -> dict[str, SettingValue | None]:
        """Read `/status` anew."""
        device = self._device()
        before = device.framesize_index
        try:
            return await device.status(self._sizes.size())
        finally:
            if device.framesize_index != before:  # changed by somebody else: the next frames are old ones
                self._sizes.note_change()

    async def set(self, values: Mapping[str, SettingValue], *, strict: bool) -> dict[str, SetResult]:
        """Set, read back, report; see `CameraDevice.set`."""
        device = self._device()
        size = self._sizes.size()
        if not device.changes_framesize(values):
            return await device.set(values, strict=strict)
        with self._sizes.changing():
            return await device.set(values, strict=strict, frame_size=size)

    async def reboot(self, *, wait: bool) -> None:
        """Restart the camera, which may come back with another size; see `CameraDevice.reboot`."""
        with self._sizes.changing():
            await self._device().reboot(wait=wait)

    # ---- fresh pictures -------------------------------------------------------------------------

    async def snap(self, framesize: str | None) -> Frame:
        """Take one picture begun after the call.

        Raises
        ------
        ConnectError, CameraTimeout, RemoteProtocolError, SettingError, UnsupportedError
        """
        if framesize is not None:
            return await self._snap_large(framesize)
        # Decided under the lock: the stream must neither pause, nor begin beside a capture, meanwhile.
        async with self._pausing:
            self._check_open()
            device = self.device
            path = None if device is None else device.family.snapshot_path
            idle = self.link.stopped
            if device is not None and path is not None and (idle or self._mode == "snapshots"):
                # With a poller the one-at-a-time control port keeps the captures in order.
                frame = self._frame(await capture_fresh(device.port, path))
                self._sizes.note_capture(frame.width, frame.height)
                return frame
            if idle:
                self._choose("mjpeg", None)
            self._users += 1  # keeps the stream while this waits for it
            self.link.start()
        try:
            return await self._snap_from_stream()
        finally:
            await self.end_streaming()

    async def _snap_from_stream(self) -> Frame:
        """Take the first frame that cannot have been begun before the call.

        One frame may be on its way, and one more may wait in the device's second buffer (``fb_count`` 2). The
        third is fresh; so is the second when its predecessor ended long enough after the call, as on a stream
        slowed by
        ``min_frame_time``, where the driver keeps renewing the waiting buffer (``CAMERA_GRAB_LATEST``).
        """
        called_ns = time.perf_counter_ns()
        ended_ns = called_ns
        try:
            async with asyncio.timeout(_SNAP_TIMEOUT_S):
                for number in range(1, _FRESH_FRAMES + 1):
                    frame = await self.link.next_frame()
                    if number == 2 and ended_ns - called_ns > _FRESH_AFTER_NS:
                        break
                    ended_ns = time.perf_counter_ns()
        except TimeoutError:
            raise copy.copy(self.link.last_error) or CameraTimeout(
                f"no fresh frame within {_SNAP_TIMEOUT_S:g} s",
                phase="stream",
                timeout_s=_SNAP_TIMEOUT_S,
                camera=self.camera,
                hint="Its stream has stalled: check its power and its radio",
            ) from None
        return frame

    async def _snap_large(self, framesize: str) -> Frame:
        device = self._device()
        path = device.snapshot_path()
        wanted = str(device.table.check(device.table.spec("framesize"), framesize))
        async with self._pausing:
            self._check_open()
            resume = not self.link.stopped
            await self.status()
            before = device.framesize_index
            if before is None:
                raise UnsupportedError(
                    "it does not tell its framesize: it could not be restored", camera=self.camera
                )
            fits = device.settings()["framesize"].value == wanted
            if resume:
                await self.link.stop()
            failure: CameraError | None = None
            try:
                part = await self._capture_sized(device, path, wanted)
            except CameraError as error:
                failure = error
                raise
            finally:
                try:
                    # A change that was not confirmed may have taken all the same.
                    if not fits or device.framesize_index != before:
                        await self._restore(device, path, before, resume)
                except CameraError:
                    if failure is None:
                        raise
                    hint = f"Set its framesize again when it answers: it may still be {wanted}"
                    failure.hint = f"{failure.hint}. {hint}" if failure.hint else hint
                finally:
                    if resume and (self._users > 0 or self.kept) and not self.closed:
                        self.link.start()
        return self._frame(part)

    async def _capture_sized(self, device: CameraDevice, path: str, wanted: str) -> Part:
        """Change to a framesize and take a picture; one of another size teaches the numbering, once."""
        for last in (False, True):
            if device.settings()["framesize"].value != wanted:
                with self._sizes.changing():
                    await device.set({"framesize": wanted}, strict=True)
            try:
                return await capture_fresh(device.port, path, SIZES[wanted])
            except WrongSizeError as error:
                index = device.framesize_index
                if last or index is None or not device.table.learn(index, *error.size):
                    raise
        raise AssertionError("unreachable")

    async def _restore(self, device: CameraDevice, path: str, index: int, flush: bool) -> None:
        with self._sizes.changing():
            await device.restore_framesize(index)
        name = device.settings()["framesize"].value
        if flush and name in SIZES:
            # Buffers of the large size would be the first frames of the resumed stream.
            await capture_fresh(device.port, path, SIZES[str(name)], flushed=0)

    def _frame(self, part: Part) -> Frame:
        now_ns = time.perf_counter_ns()
        pictures = PictureReader().read(part.body, part.complete)
        picture = pictures[-1]
        return Frame(
            picture.jpeg,
            self.link.next_sequence(),
            self.link.wall_ns(now_ns),
            part.device_ns,
            picture.width,
            picture.height,
            self.info.name,
            picture.status,
        )
