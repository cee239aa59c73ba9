"""One camera, synchronously: what most users of this package hold in their hands."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

from espressoscope.api.blink import blink_lamp
from espressoscope.api.camera_record import CameraRecording
from espressoscope.api.stream import FrameStream, check_waiting, no_frame_error
from espressoscope.api.view import PictureView
from espressoscope.engine.link import STALL_S
from espressoscope.engine.slot import Subscription
from espressoscope.errors import CameraError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.engine.session import StreamSource
    from espressoscope.model import (
        CameraInfo,
        Frame,
        Order,
        Scale,
        SetResult,
        Setting,
        SettingValue,
        StreamStats,
    )

__all__ = ["Camera"]


class Camera(CameraRecording):
    """An ESP32 camera on the network.

    Nothing happens on the network before `open`, which ``with`` and every first use call. All methods may be
    called from any thread; `close` from another thread ends calls that are waiting.

    Parameters
    ----------
    camera : str, CameraInfo or Member
        ``"192.168.4.1"``, ``"host:port"``, a URL (``http://user:pass@host``; the password is never shown), a
        name of the fleet file (``"A1"``), what `discover` gave, or a member of a `FleetFile`. A URL that
        answers with an MJPEG stream is a camera without settings. A name is looked up by `open`, and wins
        over a host of the same name. A camera whose MAC is known is found wherever it is by now.

    Raises
    ------
    ConnectError, UnsupportedError
        This is no address, and cannot be a name.

    Examples
    --------
    >>> import espressoscope as es
    >>> with es.Camera("192.168.4.1") as cam:  # doctest: +SKIP
    ...     cam.set(framesize="VGA", lamp=50)
    ...     frame = cam.snap()
    """

    # ---- what it is -------------------------------------------------------------------------------

    @property
    def info(self) -> CameraInfo:
        """What it is, as found by `open`; no IO once it has been opened."""
        return self._known().info

    @property
    def settings(self) -> Mapping[str, Setting]:
        """Its settings by canonical name with the values last read; empty for a bare MJPEG stream.

        ``fps_limit`` is among them, which no firmware knows by this name: a cap on its frame rate, kept by
        the camera itself where it has ``min_frame_time``, else by single pictures instead of the stream.
        """
        return MappingProxyType(self._known().settings())

    @property
    def stats(self) -> StreamStats:
        """Figures of its stream since it was opened; no IO once it has been opened."""
        return self._known().link.stats

    @property
    def message(self) -> str:
        """What is wrong with its stream now, in words; "" when all is well. No IO once it has been opened."""
        return self._known().link.message

    @property
    def pixel_um(self) -> float | None:
        """Size of one pixel of its pictures in um, where somebody has told it; it may be set at any time.

        Recordings note it of cameras that they take in from then on. It is not sent to the camera.

        Raises
        ------
        ValueError
            It is set to what is no size: one is positive and finite; None forgets it.
        """
        return self._pixel_um

    @pixel_um.setter
    def pixel_um(self, um: float | None) -> None:
        if um is not None and not 0 < um < math.inf:
            raise ValueError(f"a pixel of {um!r} um is no size: give a positive number, or None")
        self._pixel_um = None if um is None else float(um)
        session = self._session
        if session is not None:
            session.pixel_um = self._pixel_um

    # ---- control ----------------------------------------------------------------------------------

    def status(self) -> Mapping[str, SettingValue | None]:
        """Read `/status` anew, every value in its own type, picture sizes and effects by name.

        Raises
        ------
        UnsupportedError
            This firmware tells nothing.
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        runtime, session = self._opened()
        return MappingProxyType(self._run(runtime, session.status()))

    def set(self, *, strict: bool = True, **values: SettingValue) -> dict[str, SetResult]:
        """Set one or more settings, read them back, and report what the camera now has.

        Parameters
        ----------
        strict : bool
            Raise when the camera refused a value or reports another one afterwards.
        **values : bool, int, float or str
            By canonical name (see `settings`) or the firmware's own. All are checked before one is sent.

        Returns
        -------
        dict of str to SetResult

        Raises
        ------
        SettingError
            Unknown, or out of range: nothing was sent and `results` is empty. With `strict` also when one did
            not take: `results` then tells of each.
        UnsupportedError
            This camera cannot be set.
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        runtime, session = self._opened()
        return self._run(runtime, session.set(values, strict=strict))

    def focus_up(self) -> None:
        """Turn the focus motor 50 steps one way; boards without a motor accept it and do nothing."""
        self._command("mFocusUp")

    def focus_down(self) -> None:
        """Turn the focus motor 50 steps the other way."""
        self._command("mFocusDown")

    def focus_speed(self, speed: int) -> None:
        """Let the focus motor run at -500 to 500 steps/s until told 0.

        Raises
        ------
        SettingError
            Out of range.
        """
        self.set(focus_speed=speed)

    def autofocus(self, minimum: int = -100, maximum: int = 100, step: int = 5) -> None:
        """Let the camera search its focus, in motor steps around where it is; returns when finished.

        The control port answers nothing else meanwhile. Takes 10 to 20 s for 41 positions.

        Raises
        ------
        SettingError
            The range is empty or the step is not positive.
        CameraTimeout
            Not finished within 60 s.
        """
        runtime, session = self._opened()
        self._run(runtime, session.controls.autofocus(minimum, maximum, step))

    def reboot(self, wait: bool = True) -> None:
        """Restart the camera; with `wait`, return when it answers again.

        Raises
        ------
        CameraTimeout
            Not back after 30 s.
        """
        runtime, session = self._opened()
        self._run(runtime, session.reboot(wait=wait))

    def save_prefs(self) -> None:
        """Make the camera keep its present settings over a restart."""
        self._command("save_prefs")

    def clear_prefs(self) -> None:
        """Make the camera forget the settings it keeps."""
        self._command("clear_prefs")

    def set_wifi(self, ssid: str, password: str) -> None:
        """Tell the camera which network to join after its next restart; both travel unencrypted.

        Raises
        ------
        SettingError
            The firmware cannot take a character (space, ``&``, ``#``, ``%``, non-ASCII) or more than 31 of
            them; nothing was sent.
        """
        runtime, session = self._opened()
        self._run(runtime, session.controls.set_wifi(ssid, password))

    def blink(self, times: int = 5, pause: float = 0.4) -> None:
        """Make its lamp blink, to see which camera it is; then the lamp is as it was.

        Parameters
        ----------
        times : int
            How often.
        pause : float
            Seconds between on and off.

        Raises
        ------
        UnsupportedError
            It has no lamp, or none that obeys.
        ValueError
            `times` or `pause` is not positive.
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        if times < 1 or pause <= 0:
            raise ValueError("times and pause must be positive")
        blink_lamp(self, times, pause)

    def _command(self, var: str) -> None:
        runtime, session = self._opened()
        self._run(runtime, session.controls.command(var))

    # ---- pictures ---------------------------------------------------------------------------------

    def snap(self, framesize: str | None = None) -> Frame:
        """Take one fresh picture: begun after the call, never an old buffer of the device.

        While streaming it comes from the stream, past the frames that may be on their way. Otherwise the
        device's buffers are flushed by two captures first.

        Parameters
        ----------
        framesize : str, optional
            For one still of another size: the own stream pauses, the size is changed, the buffers are
            flushed, the size is restored, the stream goes on.

        Raises
        ------
        ConnectError, CameraTimeout, RemoteProtocolError, SettingError, UnsupportedError
        """
        runtime, session = self._opened()
        return self._run(runtime, session.stills.snap(framesize))

    def stream(
        self,
        source: StreamSource = "auto",
        *,
        buffer: int = 32,
        timeout: float = 10.0,
        damaged: bool = False,
        interval: float = 1.0,
    ) -> FrameStream:
        """Give its frames in order, for ever; use in ``for``, end with ``break`` or `FrameStream.close`.

        Parameters
        ----------
        source : {"auto", "mjpeg", "snapshots"}
            ``"snapshots"`` asks for single pictures again and again, for firmwares without a stream.
        buffer : int
            Most frames that wait for you; then the oldest are dropped, visible as gaps in `Frame.sequence`.
        timeout : float
            Seconds without a frame, on top of `interval` with snapshots, after which CameraTimeout or
            ConnectError is raised. Shorter breaks are mended silently and counted in `stats`.
        damaged : bool
            Also give truncated and corrupt frames.
        interval : float
            With snapshots: seconds from one to the next.

        Raises
        ------
        UnsupportedError
            It has no such source.
        ValueError
            `buffer` or `timeout` is not positive, or `interval` is negative.
        """
        if buffer < 1 or not timeout > 0 or not interval >= 0:  # nan neither
            raise ValueError("buffer and timeout must be positive, interval must not be negative")
        runtime, session = self._opened()
        pause = interval if source == "snapshots" else None
        waiting = Subscription(buffer, damaged=damaged)
        stream = FrameStream(self._holders, runtime, session, waiting, timeout + (pause or 0.0))
        try:
            self._run(runtime, stream.begin(source, pause))
        except BaseException:
            stream.abandon()  # it may have begun all the same
            raise
        return stream

    def view(
        self,
        use: Callable[[Frame, NDArray[np.uint8]], object],
        *,
        scale: Scale = 1,
        gray: bool = False,
        order: Order = "RGB",
        partial: bool = False,
    ) -> PictureView:
        """Have its newest pictures decoded and given to a function, as they come.

        Parameters
        ----------
        use : callable
            Called with a `Frame` and its picture, (H, W, 3) or with `gray` (H, W) uint8, on a decode thread.
            The array is used again: it is valid until `use` returns. A frame that comes while an older one
            waits takes its place, so a slow `use` sees fewer pictures, never old ones.
        scale, gray, order, partial
            As for `Frame.image`; `PictureView.scale` and `PictureView.gray` can be changed at any time.

        Returns
        -------
        PictureView
            Close it, or use it in ``with``; it ends with the camera at the latest.

        Raises
        ------
        ValueError
            There is no such scale or order.
        UnsupportedError
            It sends no pictures.
        """
        runtime, session = self._opened()
        view = PictureView(use, scale, gray, order, partial, self._followers)
        try:
            view.join(session.link.name, runtime, session, self._pending)
        except BaseException:
            view.close()
            raise
        return view

    def latest(self, timeout: float = 5.0, after: int | None = None) -> Frame:
        """Give the newest whole frame, starting the stream when it does not run; it then runs until `close`.

        Parameters
        ----------
        timeout : float
            Longest wait in seconds.
        after : int, optional
            Only a frame with a `Frame.sequence` above this; pass the last one's to wait for the next.

        Returns
        -------
        Frame
            Never older than 6 s, the time after which a stream counts as stalled.

        Raises
        ------
        CameraTimeout, ConnectError
            None in time.
        """
        runtime, session = self._opened()
        link = session.link
        check_waiting(runtime, timeout)
        if not session.demand.kept:
            self._run(runtime, session.keep_streaming())

        def fits(frame: Frame) -> bool:
            return (after is None or frame.sequence > after) and link.age_s(frame) <= STALL_S

        frame = link.latest.wait(fits, lambda: session.closed, timeout)
        if frame is None:
            if session.closed:
                raise CameraError("it was closed while this call waited", camera=session.camera)
            raise no_frame_error(session, timeout, timeout)
        return frame
