"""Many cameras as one: opened, streamed from, set and looked at side by side.

A camera that is absent, dead or lying costs only itself: nothing here waits for one camera longer than for
the others, and nothing raises because of one. What happens to each is told by name.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from espressoscope.api.camera import Camera
from espressoscope.api.exposure import ExposureLock, copy_exposure, exposure_of
from espressoscope.api.names import unique_names
from espressoscope.api.runtime import Runtime, acquire_runtime
from espressoscope.api.stream import check_waiting
from espressoscope.engine.link import STALL_S
from espressoscope.errors import CameraError, SettingError
from espressoscope.model import CameraInfo, LinkState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from types import TracebackType

    from espressoscope.engine.session import CameraSession, StreamSource
    from espressoscope.model import Frame, SetResult, SettingValue, StreamStats

__all__ = ["Fleet"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

OPEN_S = 6.0
"""Longest wait for cameras to answer when a fleet is opened, for all of them together, in seconds."""
_SLICE_S = 0.05


class Fleet(Mapping[str, Camera]):
    """Several cameras, each under a name of its own: a mapping of name to `Camera`.

    Entering it reaches all of them side by side and never raises because one of them does not answer: such a
    camera is in the fleet all the same, `messages` says what is wrong with it, and once `start` has been
    called it is tried again and again, and joins in when it is there.

    Names are those the cameras have. Where several have the same they get ``-`` and the last six digits of
    their MAC behind it, or their address; a camera that has not been reached yet is named by its address. A
    name stays until the fleet is closed. Two addresses of one board count as one camera.

    Methods may be called from any thread.

    Parameters
    ----------
    cameras : iterable of str or CameraInfo
        Anything `Camera` takes; what `discover` gives too, which is then waited for when the fleet is opened.

    Raises
    ------
    ConnectError, UnsupportedError
        One of the addresses is none at all.

    Examples
    --------
    >>> import espressoscope as es
    >>> with es.Fleet(["10.0.0.20", "10.0.0.21"]) as fleet:  # doctest: +SKIP
    ...     fleet.start()
    ...     for name, frame in fleet.latest().items():
    ...         print(name, frame)
    """

    __hash__ = object.__hash__

    def __init__(self, cameras: Iterable[str | CameraInfo] | str | CameraInfo) -> None:
        given = [cameras] if isinstance(cameras, str | CameraInfo) else cameras
        # A search under way, or any other generator, is waited for in open().
        self._awaited = given if hasattr(given, "__next__") else ()
        self._cameras = [] if hasattr(given, "__next__") else [Camera(camera) for camera in given]
        self._lock = threading.RLock()
        self._members: dict[str, Camera] = {}
        self._runtime: Runtime | None = None
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._started: StreamSource | None = None

    def __repr__(self) -> str:
        return f"<Fleet of {len(self._members)}: {', '.join(self._members)}>"

    # ---- members ----------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all cameras, in the order they were given or added."""
        return tuple(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._members))

    def __getitem__(self, name: str) -> Camera:
        """Give a camera; it belongs to the fleet, which closes it.

        Raises
        ------
        KeyError
            There is none of that name.
        """
        try:
            return self._members[name]
        except KeyError:
            raise KeyError(f"{name!r} is none of this fleet's cameras: {', '.join(self._members)}") from None

    def add(self, camera: str | CameraInfo, name: str | None = None) -> str:
        """Take one more camera in; it need not answer yet.

        Parameters
        ----------
        camera : str or CameraInfo
            Anything `Camera` takes.
        name : str, optional
            Its name here; else its own, made unique.

        Returns
        -------
        str
            The name it has here; that of the member it is already, if it is one.

        Raises
        ------
        ConnectError, UnsupportedError
            This is no address at all.
        ValueError
            The name is taken.
        """
        runtime = self._opened()
        newcomer = Camera(camera)
        with self._lock:
            if name is not None and name in self._members:
                raise ValueError(f"{name!r} is taken by another camera of this fleet")
            label = self._join(runtime, [newcomer], name)[0]
            session = self._members[label]._session
            if newcomer is self._members[label]:
                self._cameras.append(newcomer)
                if self._started is not None and session is not None:
                    runtime.call(_keep([session], self._started), pending=self._pending)
        return label

    def remove(self, name: str) -> None:
        """Let one camera go and close it.

        Raises
        ------
        KeyError
            There is none of that name.
        """
        with self._lock:
            camera = self[name]
            del self._members[name]
            self._cameras.remove(camera)
        camera.close()

    def _join(self, runtime: Runtime, newcomers: Sequence[Camera], name: str | None) -> list[str]:
        """Reach cameras and give them their places; tell the name of each, of a twin that of its board."""
        sessions = [camera._attach()[1] for camera in newcomers]
        runtime.call(_reach(sessions), pending=self._pending)
        labels = [name] if name is not None else unique_names(sessions, self._members)
        joined = []
        for camera, session, label in zip(newcomers, sessions, labels, strict=True):
            twin = next((each for each in self._members if _same_board(self._members[each], session)), None)
            if twin is None:
                session.rename(label)
                self._members[label] = camera
            else:
                _log.warning("%s is the same camera as %s: it counts once", session.info.url, twin)
                camera.close()
            joined.append(twin or label)
        return joined

    # ---- opening and closing ----------------------------------------------------------------------

    def open(self) -> Fleet:
        """Reach all cameras side by side, for 6 s at most; does nothing when it is open."""
        with self._lock:
            if self._runtime is None:
                self._runtime = runtime = acquire_runtime()
                self._members = {}
                try:
                    self._cameras += [Camera(camera) for camera in self._awaited]
                    self._awaited = ()
                    self._join(runtime, self._cameras, None)
                except BaseException:
                    self._leave()
                    raise
        return self

    def close(self) -> None:
        """Let all cameras go; calls that wait end. Twice does nothing; figures stay readable."""
        while True:
            for future in tuple(self._pending):
                future.cancel()
            if self._lock.acquire(timeout=_SLICE_S):
                break
        try:
            self._leave()
        finally:
            self._lock.release()

    def _leave(self) -> None:
        runtime, self._runtime = self._runtime, None
        self._started = None
        if runtime is None:
            return
        try:
            sessions = [camera._session for camera in self._cameras if camera._session is not None]
            if runtime.problem() is None:
                with contextlib.suppress(concurrent.futures.CancelledError):
                    runtime.call(_close(sessions), pending=set())
            for camera in self._cameras:
                camera.close()
        finally:
            runtime.release()

    def __enter__(self) -> Fleet:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_runtime", None) is not None:
            warnings.warn(
                f"{self!r} was never closed; use it in a with statement", ResourceWarning, stacklevel=2
            )
            self.close()

    def _opened(self) -> Runtime:
        runtime = self._runtime
        if runtime is None:
            raise CameraError("this fleet is not open", hint="Use it in a with statement, or call open()")
        return runtime

    def _sessions(self) -> dict[str, CameraSession]:
        with self._lock:
            members = dict(self._members)
        return {name: camera._known() for name, camera in members.items()}

    # ---- streams ----------------------------------------------------------------------------------

    def start(self, source: StreamSource = "auto") -> None:
        """Start all streams and keep them running; cameras that are not there are tried again and again.

        Parameters
        ----------
        source : {"auto", "mjpeg", "snapshots"}
            As for `Camera.stream`.
        """
        runtime = self._opened()
        self._started = source
        runtime.call(_keep(list(self._sessions().values()), source), pending=self._pending)

    def stop(self) -> None:
        """Let all streams go; those that somebody still takes frames from go on."""
        runtime = self._opened()
        self._started = None
        runtime.call(_let_go(list(self._sessions().values())), pending=self._pending)

    def latest(self, timeout: float = 5.0) -> dict[str, Frame | None]:
        """Give the newest whole frame of each camera, starting the streams when they do not run.

        Waits for the first frames only, and only for cameras that nothing is known to be wrong with: a dead
        one holds nobody up.

        Parameters
        ----------
        timeout : float
            Longest wait in seconds, for all of them together.

        Returns
        -------
        dict of str to Frame or None
            By name. None: it has no frame younger than 6 s, the time after which a stream counts as stalled.
        """
        check_waiting(self._opened())
        if self._started is None:
            self.start()
        deadline = time.monotonic() + timeout
        return {
            name: _newest(session, deadline - time.monotonic()) for name, session in self._sessions().items()
        }

    def stats(self) -> dict[str, StreamStats]:
        """Give the figures of each camera's stream, by name; no IO."""
        return {name: session.link.stats for name, session in self._sessions().items()}

    def messages(self) -> dict[str, str]:
        """Say of each camera what is wrong with it now, by name; "" when all is well. No IO."""
        return {name: session.link.message for name, session in self._sessions().items()}

    # ---- all at once ------------------------------------------------------------------------------

    def set(self, **values: SettingValue) -> dict[str, dict[str, SetResult] | CameraError]:
        """Set one or more settings on all cameras side by side, and report what each has afterwards.

        Parameters
        ----------
        **values : bool, int, float or str
            As for `Camera.set`; also ``fps_limit``.

        Returns
        -------
        dict of str to (dict of str to SetResult, or CameraError)
            By name: what became of each setting, or why none could be set.

        Raises
        ------
        SettingError
            Not one of the cameras that answer could take this: an unknown setting, or a value out of range.
            Nothing was sent.
        """
        report = self._each(lambda session: session.set(values, strict=False))
        errors = [result for result in report.values() if isinstance(result, CameraError)]
        refused = [error for error in errors if isinstance(error, SettingError)]
        if refused and len(errors) == len(report):
            raise refused[0]
        return report

    def snap(self, framesize: str | None = None) -> dict[str, Frame | CameraError]:
        """Take one fresh picture with each camera, all at once.

        Parameters
        ----------
        framesize : str, optional
            As for `Camera.snap`.

        Returns
        -------
        dict of str to (Frame or CameraError)
            By name: the picture, or why there is none.
        """
        return self._each(lambda session: session.stills.snap(framesize))

    def lock_exposure(self, to: str) -> ExposureLock:
        """Copy exposure, gain and white balance of one camera to all others, as far as it can tell them.

        Parameters
        ----------
        to : str
            Name of the camera to copy. What it regulates automatically cannot be read back from it, and so
            not be copied; the report says so.

        Returns
        -------
        ExposureLock
            Also tells what could not be made equal, and why.

        Raises
        ------
        KeyError
            There is none of that name.
        ConnectError, CameraTimeout, RemoteProtocolError, UnsupportedError
            It could not be asked.
        """
        reference = self[to]
        reference.status()
        values, unequal = exposure_of(reference.settings)
        results = self._each(lambda session: copy_exposure(session, values), without=to) if values else {}
        return ExposureLock(to, values, unequal, results)

    def _each(
        self, work: Callable[[CameraSession], Coroutine[Any, Any, _T]], without: str | None = None
    ) -> dict[str, _T | CameraError]:
        runtime = self._opened()
        sessions = {name: session for name, session in self._sessions().items() if name != without}
        try:
            results = runtime.call(_side_by_side(sessions.values(), work), pending=self._pending)
        except concurrent.futures.CancelledError:
            raise CameraError("this fleet was closed while a call waited") from None
        return dict(zip(sessions, results, strict=True))


async def _reach(sessions: Sequence[CameraSession]) -> None:
    """Reach cameras side by side; what is wrong with one is noted in its link."""
    tasks = [asyncio.ensure_future(session.reach()) for session in sessions]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=OPEN_S)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for session, result in zip(sessions, results, strict=True):
        if isinstance(result, CameraError):
            session.link.last_error = result
        elif isinstance(result, Exception):
            raise result


async def _side_by_side(
    sessions: Iterable[CameraSession], work: Callable[[CameraSession], Coroutine[Any, Any, _T]]
) -> list[_T | CameraError]:
    async def one(session: CameraSession) -> _T | CameraError:
        try:
            await session.reach()
            return await work(session)
        except CameraError as error:
            return error

    return await asyncio.gather(*(one(session) for session in sessions))


async def _keep(sessions: Iterable[CameraSession], source: StreamSource) -> None:
    for session in sessions:
        try:
            await session.keep_streaming(source)
        except CameraError as error:
            session.link.last_error = error


async def _let_go(sessions: Iterable[CameraSession]) -> None:
    await asyncio.gather(*(session.let_go() for session in sessions))


async def _close(sessions: Iterable[CameraSession]) -> None:
    await asyncio.gather(*(session.close() for session in sessions))


def _newest(session: CameraSession, timeout_s: float) -> Frame | None:
    link = session.link

    def waiting_is_vain() -> bool:
        hopeful = link.state in (LinkState.CONNECTING, LinkState.LIVE) and link.last_error is None
        return session.closed or not hopeful

    return link.latest.wait(lambda frame: link.age_s(frame) <= STALL_S, waiting_is_vain, max(0.0, timeout_s))


def _same_board(member: Camera, newcomer: CameraSession) -> bool:
    """Tell whether a newcomer is a member under another address.

    Simulated cameras of several processes may share a MAC; boards do not sit behind one address.
    """
    known = member._known()
    if known.address == newcomer.address:
        return True
    return (
        newcomer.info.mac is not None
        and newcomer.info.mac == known.info.mac
        and newcomer.address.host != known.address.host
    )
