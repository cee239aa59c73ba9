"""Fresh pictures of one camera: from its stream while it runs, else by capture; large ones in between.

A picture is fresh when it was begun after the call. Cameras hand out old buffers first, so one or two are
always let go. A large still pauses the stream, changes the size, and puts everything back, whatever happens.
"""

from __future__ import annotations

import asyncio
import copy
import time
from typing import TYPE_CHECKING

from espressoscope.device.snapshots import WrongSizeError, capture_fresh
from espressoscope.errors import CameraError, CameraTimeout, UnsupportedError
from espressoscope.model import Frame
from espressoscope.tables.framesizes import SIZES
from espressoscope.wire.pictures import PictureReader

if TYPE_CHECKING:
    from espressoscope.device.camera import CameraDevice
    from espressoscope.engine.session import CameraSession
    from espressoscope.wire.events import Part

__all__ = ["Stills"]

_SNAP_TIMEOUT_S = 15.0
_FRESH_FRAMES = 3
_FRESH_AFTER_NS = 300_000_000


class Stills:
    """Takes single pictures for a session.

    Parameters
    ----------
    session : CameraSession
        Whose camera.
    """

    def __init__(self, session: CameraSession) -> None:
        self._session = session

    async def snap(self, framesize: str | None) -> Frame:
        """Take one picture begun after the call.

        Raises
        ------
        ConnectError, CameraTimeout, RemoteProtocolError, SettingError, UnsupportedError
        """
        if framesize is not None:
            return await self._snap_large(framesize)
        session = self._session
        # Decided under the lock: the stream must neither pause, nor begin beside a capture, meanwhile.
        async with session.demand.paused():
            session.check_open()
            device = session.device
            path = None if device is None else device.family.snapshot_path
            idle = session.link.stopped
            if device is not None and path is not None and (idle or session.mode == "snapshots"):
                if idle:
                    await session.verify_if_doubtful()
                    await session.upkeep.assure()
                # With a poller the one-at-a-time control port keeps the captures in order.
                frame = self._frame(await capture_fresh(device.port, path))
                session.sizes.note_capture(frame.width, frame.height)
                return frame
            if idle:
                session.choose("mjpeg", None)
            session.demand.users += 1  # keeps the stream while this waits for it
            session.link.start()
        try:
            return await self._snap_from_stream()
        finally:
            await session.demand.remove()

    async def _snap_from_stream(self) -> Frame:
        """Take the first frame that cannot have been begun before the call.

        One frame may be on its way, and one more may wait in the device's second buffer (``fb_count`` 2). The
        third is fresh; so is the second when its predecessor ended long enough after the call, as on a stream
        slowed by ``min_frame_time``, where the driver keeps renewing the waiting buffer
        (``CAMERA_GRAB_LATEST``).
        """
        link = self._session.link
        called_ns = time.perf_counter_ns()
        ended_ns = called_ns
        try:
            async with asyncio.timeout(_SNAP_TIMEOUT_S):
                for number in range(1, _FRESH_FRAMES + 1):
                    frame = await link.next_frame()
                    if number == 2 and ended_ns - called_ns > _FRESH_AFTER_NS:
                        break
                    ended_ns = time.perf_counter_ns()
        except TimeoutError:
            raise copy.copy(link.last_error) or CameraTimeout(
                f"no fresh frame within {_SNAP_TIMEOUT_S:g} s",
                phase="stream",
                timeout_s=_SNAP_TIMEOUT_S,
                camera=self._session.camera,
                hint="Its stream has stalled: check its power and its radio",
            ) from None
        return frame

    async def _snap_large(self, framesize: str) -> Frame:
        session = self._session
        device = session.controls
        path = device.snapshot_path()
        wanted = str(device.table.check(device.table.spec("framesize"), framesize))
        async with session.demand.paused():
            session.check_open()
            await session.verify_if_doubtful()
            resume = not session.link.stopped
            await session.status()
            before = device.framesize_index
            if before is None:
                raise UnsupportedError(
                    "it does not tell its framesize: it could not be restored", camera=session.camera
                )
            fits = device.settings()["framesize"].value == wanted
            if resume:
                await session.link.stop()
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
                        await self._restore(device, path, before, resume or session.demand.wanted)
                except CameraError:
                    if failure is None:
                        raise
                    hint = f"Set its framesize again when it answers: it may still be {wanted}"
                    failure.hint = f"{failure.hint}. {hint}" if failure.hint else hint
        return self._frame(part)

    async def _capture_sized(self, device: CameraDevice, path: str, wanted: str) -> Part:
        """Change to a framesize and take a picture; one of another size teaches the numbering, once."""
        for last in (False, True):
            if device.settings()["framesize"].value != wanted:
                with self._session.sizes.changing():
                    await device.set({"framesize": wanted}, strict=True)
            try:
                return await capture_fresh(device.port, path, SIZES[wanted])
            except WrongSizeError as error:
                index = device.framesize_index
                if last or index is None or not device.table.learn(index, *error.size):
                    raise
        raise AssertionError("unreachable")

    async def _restore(self, device: CameraDevice, path: str, index: int, flush: bool) -> None:
        with self._session.sizes.changing():
            await device.restore_framesize(index)
        name = device.settings()["framesize"].value
        if flush and name in SIZES:
            # Buffers of the large size would be the first frames of the resumed stream.
            await capture_fresh(device.port, path, SIZES[str(name)], flushed=0)

    def _frame(self, part: Part) -> Frame:
        link = self._session.link
        now_ns = time.perf_counter_ns()
        pictures = PictureReader().read(part.body, part.complete)
        picture = pictures[-1]
        return Frame(
            picture.jpeg,
            link.next_sequence(),
            link.wall_ns(now_ns),
            part.device_ns,
            picture.width,
            picture.height,
            link.name,
            picture.status,
        )
