"""One camera, synchronously: what most users of this package hold in their hands."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import warnings
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from espressoscope.api.runtime import Runtime, acquire_runtime
from espressoscope.api.stream import FrameStream, check_waiting, no_frame_error
from espressoscope.device.address import parse_address
from espressoscope.engine.link import STALL_S
from espressoscope.engine.session import CameraSession, StreamSource
from espressoscope.engine.slot import Subscription
from espressoscope.errors import CameraError
from espressoscope.model import CameraInfo, StreamStats

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from types import TracebackType

    from espressoscope.device.address import Address
    from espressoscope.model import Frame, SetResult, Setting, SettingValue

__all__ = ["Camera"]

_T = TypeVar("_T")
_SLICE_S = 0.05


class Camera:
    """An ESP32 camera on the network.

    Nothing happens on the network before `open`, which ``with`` and every first use call. All methods may be
    called from any thread; `close` from another thread ends calls that are waiting.

    Parameters
    ----------
    camera : str or CameraInfo
        ``"192.168.4.1"``, ``"host:port"``, a URL (``http://user:pass@host``; the password is never shown), or
        what `discover` gave. A URL that answers with an MJPEG stream is a camera without settings.

    Raises
    ------
    ConnectError, UnsupportedError
        This is no address at all.

    Examples
    --------
    >>> import espressoscope as es
    >>> with es.Camera("192.168.4.1") as cam:  # doctest: +SKIP
    ...     cam.set(framesize="VGA", lamp=50)
    ...     frame = cam.snap()
    """

    def __init__(self, camera: str | CameraInfo) -> None:
        self._given = camera if isinstance(camera, CameraInfo) else None
        self._address: Address = parse_address(camera.url if isinstance(camera, CameraInfo) else camera)
        self._lock = threading.RLock()
        self._runtime: Runtime | None = None
        self._session: CameraSession | None = None
        self._last_session: CameraSession | None = None
        self._pending: set[concurrent.futures.Future[Any]] = set()

    def __repr__(self) -> str:
        state = "closed" if self._session is None else self._session.link.state.value
        return f"<Camera {self._address}: {state}>"

    # ---- opening and closing ----------------------------------------------------------------------

    def open(self) -> Camera:
        """Reach the camera, recognise it and read its settings; does nothing when it is open.

        Raises
        ------
        ConnectError
            No camera there; `reason` says why.
        CameraTimeout
            No answer in time.
        RemoteProtocolError
            What answers does not speak HTTP.
        """
        with self._lock:
            if self._session is None:
                runtime = acquire_runtime()
                reached: list[CameraSession] = []
                try:
                    self._run(runtime, self._reach(reached))
                except BaseException:
                    with contextlib.suppress(concurrent.futures.CancelledError, RuntimeError):
                        runtime.call(_leave(reached), pending=set())
                    runtime.release()
                    raise
                self._runtime = runtime
                self._session = self._last_session = reached[0]
        return self

    async def _reach(self, reached: list[CameraSession]) -> None:
        found_by = self._given.found_by if self._given is not None else "given"
        reached.append(await CameraSession.open(self._address, found_by))

    def close(self) -> None:
        """Let the camera go: its stream and waiting calls end; twice does nothing."""
        self._cancel_calls()
        while not self._lock.acquire(timeout=_SLICE_S):
            self._cancel_calls()  # another thread is about to open it
        try:
            session, self._session = self._session, None
            runtime, self._runtime = self._runtime, None
        finally:
            self._lock.release()
        if session is None or runtime is None:
            return
        session.closed = True
        self._cancel_calls()  # what began meanwhile; later calls find it closed
        try:
            if runtime.in_loop_thread:
                runtime.post(session.close())
            elif runtime.problem() is None:
                with contextlib.suppress(concurrent.futures.CancelledError):
                    runtime.call(session.close(), pending=set())
        finally:
            runtime.release()

    def _cancel_calls(self) -> None:
        for future in tuple(self._pending):
            future.cancel()

    def __enter__(self) -> Camera:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_session", None) is not None:
            warnings.warn(
                f"{self!r} was never closed; use it in a with statement", ResourceWarning, stacklevel=2
            )
            self.close()

    def _run(self, runtime: Runtime, coroutine: Coroutine[Any, Any, _T]) -> _T:
        try:
            return runtime.call(coroutine, pending=self._pending)
        except concurrent.futures.CancelledError:
            raise CameraError("it was closed while this call waited", camera=str(self._address)) from None

    def _opened(self) -> tuple[Runtime, CameraSession]:
        with self._lock:
            if self._session is None and self._last_session is not None:
                raise CameraError(
                    "it has been closed", camera=str(self._address), hint="Call open() to use it again"
                )
            self.open()
            assert self._runtime is not None
            assert self._session is not None
            return self._runtime, self._session

    # ---- what it is -------------------------------------------------------------------------------

    def _known(self) -> CameraSession:
        # After close the figures of the last use stay readable; before the first there is nothing to tell.
        return self._session or self._last_session or self._opened()[1]

    @property
    def info(self) -> CameraInfo:
        """What it is, as found by `open`; no IO once it has been opened."""
        return self._known().info

    @property
    def settings(self) -> Mapping[str, Setting]:
        """Its settings by canonical name with the values last read; empty for a bare MJPEG stream."""
        device = self._known().device
        return MappingProxyType({} if device is None else device.settings())

    @property
    def stats(self) -> StreamStats:
        """Figures of its stream since it was opened; no IO once it has been opened."""
        return self._known().link.stats

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
        return self._run(runtime, session.snap(framesize))

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
            `buffer`, `timeout` or `interval` is not positive.
        """
        if buffer < 1 or timeout <= 0 or interval < 0:
            raise ValueError("buffer and timeout must be positive, interval must not be negative")
        runtime, session = self._opened()
        pause = interval if source == "snapshots" else None
        waiting = Subscription(buffer, damaged=damaged)
        stream = FrameStream(runtime, session, waiting, timeout + (pause or 0.0))
        try:
            self._run(runtime, stream.begin(source, pause))
        except BaseException:
            stream.abandon()  # it may have begun all the same
            raise
        return stream

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
        check_waiting(runtime)
        if not session.kept:
            self._run(runtime, session.keep_streaming())

        def fits(frame: Frame) -> bool:
            return (after is None or frame.sequence > after) and link.age_s(frame) <= STALL_S

        frame = link.latest.wait(fits, lambda: session.closed, timeout)
        if frame is None:
            if session.closed:
                raise CameraError("it was closed while this call waited", camera=session.camera)
            raise no_frame_error(session, timeout, timeout)
        return frame


async def _leave(sessions: list[CameraSession]) -> None:
    for session in sessions:
        await session.close()
