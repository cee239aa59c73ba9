"""Opening, closing and calling one camera from any thread: the ground `Camera` stands on.

What the camera can do is in `camera`; here is only how a synchronous call reaches the loop, how `close` ends
the calls that wait, and how a camera that is part of a fleet is opened without waiting for it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Self, TypeVar

from espressoscope.api.at_exit import close_at_exit
from espressoscope.api.locator import shared_locator
from espressoscope.api.roll import Card, Roll, card_of
from espressoscope.api.runtime import Runtime, acquire_runtime
from espressoscope.api.view import close_followers, closing_here
from espressoscope.device.address import Address
from espressoscope.engine.session import CameraSession
from espressoscope.errors import CameraError, ConnectError, ConnectReason
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from espressoscope.api.follower import Follower
    from espressoscope.lab.entries import Member

__all__ = ["CameraHandle"]

_T = TypeVar("_T")
_SLICE_S = 0.05


class CameraHandle:
    """A camera that can be opened, called and closed; `Camera` adds what it can do.

    Parameters
    ----------
    camera : str, CameraInfo or Member
        As for `Camera`.
    """

    def __init__(self, camera: str | CameraInfo | Member) -> None:
        self._card = card_of(camera)
        self._lock = threading.RLock()
        self._runtime: Runtime | None = None
        self._session: CameraSession | None = None
        self._last_session: CameraSession | None = None
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._followers: set[Follower] = set()
        self._pixel_um: float | None = None
        # Of a fleet: its name there, and what to do when it was closed alone and is opened again.
        self._label = ""
        self._returned: weakref.WeakMethod[Callable[[Self, Runtime, CameraSession], None]] | None = None

    def _belong(self, label: str, returned: Callable[[Self, Runtime, CameraSession], None] | None) -> None:
        """Be a fleet's from now on, under this name, or nobody's; `Fleet` calls this."""
        self._label = label
        self._returned = None if returned is None else weakref.WeakMethod(returned)

    @property
    def _holders(self) -> object:
        """What must not be collected for it to stay open: itself, and its fleet, which closes it."""
        return self, None if self._returned is None else self._returned()

    def __repr__(self) -> str:
        session = self._session
        if session is None:
            return f"<Camera {self._card}: closed>"
        return f"<Camera {session.camera}: {session.link.state.value}>"

    def open(self) -> Self:
        """Reach the camera, recognise it and read its settings; does nothing when it is open.

        Raises
        ------
        ConnectError
            No camera there, or none of this name; `reason` says why.
        FleetFileError
            It was given by name, and the fleet file is broken.
        CameraTimeout
            No answer in time.
        RemoteProtocolError
            What answers does not speak HTTP.
        """
        with self._lock:
            fresh = self._session is None
            before = self._last_session
            runtime, session = self._attach()
            try:
                if not session.reached:
                    self._run(runtime, session.reach())
                returned = self._returned() if fresh and self._returned is not None else None
                if returned is not None:
                    returned(self, runtime, session)
            except BaseException as error:
                self._explain(error, session)
                if fresh:
                    self._detach()
                    self._last_session = before
                raise
        return self

    def _explain(self, error: BaseException | None, session: CameraSession) -> None:
        """Say of a name that is no host's which names there are."""
        if not isinstance(error, ConnectError) or error.reason is not ConnectReason.UNRESOLVED:
            return
        if self._card.name and not session.name and "." not in self._card.name:
            with contextlib.suppress(CameraError):
                error.hint = f"No camera of the fleet file has this name. {Roll().hint(self._card.name)}"

    def _attach(self, roll: Roll | None = None, *, strict: bool = True) -> tuple[Runtime, CameraSession]:
        """Make it usable without reaching it; a name is looked up now.

        Parameters
        ----------
        roll : Roll, optional
            Where names are looked up.
        strict : bool
            Refuse what is no name. Otherwise it counts as a host nobody knows, as it may in a fleet.

        Raises
        ------
        ConnectError
            There is no camera of this name.
        FleetFileError
            The fleet file is broken.
        """
        with self._lock:
            if self._session is None or self._runtime is None:
                try:
                    card = (roll or Roll()).look_up(self._card)
                    refusal = None
                except ConnectError as error:
                    if strict:
                        raise
                    refusal = error
                    info = CameraInfo(self._card.name, "http://unknown", None, None, "unknown", "given")
                    card = Card(Address("unknown", 80), info)
                assert card.address is not None
                runtime = acquire_runtime()
                self._runtime = runtime
                session = CameraSession(
                    card.address, card.info, shared_locator(), card.name, runtime.wall_offset_ns
                )
                session.refusal = refusal
                session.place, session.pixel_um = card.place, self._pixel_um
                if self._label:
                    session.rename(self._label)
                session.upkeep.own = card.profile
                session.upkeep.wanted = dict(card.profile) if card.keep else {}
                self._session = self._last_session = session
                close_at_exit(self)
            return self._runtime, self._session

    def close(self) -> None:
        """Let the camera go: its stream and waiting calls end; twice does nothing."""
        with closing_here(self):
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
            close_followers(self._followers, self)
        finally:  # also when Ctrl-C has interrupted that
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
            raise CameraError("it was closed while this call waited", camera=str(self._card)) from None

    def _opened(self) -> tuple[Runtime, CameraSession]:
        with self._lock:
            if self._session is None and self._last_session is not None:
                raise CameraError(
                    "it has been closed", camera=str(self._card), hint="Call open() to use it again"
                )
            self.open()
            assert self._runtime is not None
            assert self._session is not None
            return self._runtime, self._session

    def _known(self) -> CameraSession:
        # After close the figures of the last use stay readable; before the first there is nothing to tell.
        return self._session or self._last_session or self._opened()[1]
