"""Opening, closing and calling one camera from any thread: the ground `Camera` stands on.

What the camera can do is in `camera`; here is only how a synchronous call reaches the loop, how `close` ends
the calls that wait, and how a camera that is part of a fleet is opened without waiting for it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import warnings
from typing import TYPE_CHECKING, Any, Self, TypeVar

from espressoscope.api.locator import shared_locator
from espressoscope.api.runtime import Runtime, acquire_runtime
from espressoscope.device.address import parse_address
from espressoscope.engine.session import CameraSession
from espressoscope.errors import CameraError
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from espressoscope.api.follower import Follower
    from espressoscope.device.address import Address

__all__ = ["CameraHandle"]

_T = TypeVar("_T")
_SLICE_S = 0.05


class CameraHandle:
    """A camera that can be opened, called and closed; `Camera` adds what it can do.

    Parameters
    ----------
    camera : str or CameraInfo
        As for `Camera`.
    """

    def __init__(self, camera: str | CameraInfo) -> None:
        if not isinstance(camera, str | CameraInfo):
            raise TypeError(
                f"a camera is an address or a CameraInfo, not {type(camera).__name__}; "
                "write it like '192.168.4.1'"
            )
        self._given = camera if isinstance(camera, CameraInfo) else None
        self._address: Address = parse_address(camera.url if isinstance(camera, CameraInfo) else camera)
        self._lock = threading.RLock()
        self._runtime: Runtime | None = None
        self._session: CameraSession | None = None
        self._last_session: CameraSession | None = None
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._followers: set[Follower] = set()

    def __repr__(self) -> str:
        session = self._session
        if session is None:
            return f"<Camera {self._address}: closed>"
        return f"<Camera {session.camera}: {session.link.state.value}>"

    def open(self) -> Self:
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
            fresh = self._session is None
            runtime, session = self._attach()
            try:
                if not session.reached:
                    self._run(runtime, session.reach())
            except BaseException:
                if fresh:
                    self._detach()
                    self._last_session = None
                raise
        return self

    def _attach(self) -> tuple[Runtime, CameraSession]:
        """Make it usable without reaching it."""
        with self._lock:
            if self._session is None or self._runtime is None:
                runtime = acquire_runtime()
                self._runtime = runtime
                self._session = self._last_session = CameraSession(
                    self._address, self._given, shared_locator()
                )
            return self._runtime, self._session

    def close(self) -> None:
        """Let the camera go: its stream and waiting calls end; twice does nothing."""
        self._cancel_calls()
        while not self._lock.acquire(timeout=_SLICE_S):
            self._cancel_calls()  # another thread is about to open it
        try:
            session, runtime = self._session, self._runtime
            self._session = self._runtime = None
        finally:
            self._lock.release()
        if session is not None and runtime is not None:
            self._end(runtime, session)

    def _detach(self) -> None:
        session, runtime = self._session, self._runtime
        self._session = self._runtime = None
        if session is not None and runtime is not None:
            self._end(runtime, session)

    def _end(self, runtime: Runtime, session: CameraSession) -> None:
        session.closed = True
        self._cancel_calls()  # what began meanwhile; later calls find it closed
        try:
            for follower in tuple(self._followers):
                follower.close()
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

    def __enter__(self) -> Self:
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

    def _known(self) -> CameraSession:
        # After close the figures of the last use stay readable; before the first there is nothing to tell.
        return self._session or self._last_session or self._opened()[1]
