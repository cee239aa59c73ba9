"""Who belongs to a fleet, under which name, and how all of them are reached and let go.

The ground `Fleet` stands on, as `handle` is that of `Camera`: nothing about streams or pictures.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from espressoscope.api.camera import Camera
from espressoscope.api.names import unique_names
from espressoscope.api.roll import Roll
from espressoscope.api.runtime import Runtime, acquire_runtime
from espressoscope.api.view import close_followers
from espressoscope.errors import CameraError
from espressoscope.lab.entries import Member
from espressoscope.lab.fleet_file import FleetFile
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from types import TracebackType

    from espressoscope.api.follower import Follower
    from espressoscope.engine.session import CameraSession, StreamSource

__all__ = ["FleetHandle", "keep_streaming"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

OPEN_S = 6.0
"""Longest wait for cameras to answer when a fleet is opened, for all of them together, in seconds."""
_SLICE_S = 0.05


class FleetHandle(Mapping[str, Camera]):
    """Cameras by name, opened and closed together; `Fleet` adds what they can do.

    Parameters
    ----------
    cameras : iterable of str, CameraInfo or Member
        As for `Fleet`.
    """

    __hash__ = object.__hash__

    def __init__(self, cameras: Iterable[str | CameraInfo | Member] | str | CameraInfo | Member) -> None:
        given = [cameras] if isinstance(cameras, str | CameraInfo | Member) else cameras
        # A search under way, or any other generator, is waited for in open().
        self._awaited = given if hasattr(given, "__next__") else ()
        self._cameras = [] if hasattr(given, "__next__") else [Camera(camera) for camera in given]
        self._lock = threading.RLock()
        self._members: dict[str, Camera] = {}
        self._runtime: Runtime | None = None
        self._pending: set[concurrent.futures.Future[Any]] = set()
        self._started: StreamSource | None = None
        self._followers: set[Follower] = set()

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """Make a fleet of all cameras of a fleet file, under their names there.

        Parameters
        ----------
        path : str or path, optional
            As for `FleetFile.load`; read now.

        Raises
        ------
        FleetFileError
            The file is broken, or not there.
        """
        return cls(FleetFile.load(path, must_exist=True).members.values())

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

    def add(self, camera: str | CameraInfo | Member, name: str | None = None) -> str:
        """Take one more camera in; it need not answer yet.

        Parameters
        ----------
        camera : str, CameraInfo or Member
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
        newcomer = Camera(camera)
        with self._lock:
            runtime = self._opened()
            if name is not None and name in self._members:
                raise ValueError(f"{name!r} is taken by another camera of this fleet")
            try:
                label = self._join(runtime, [newcomer], name)[0]
            except BaseException:
                newcomer.close()
                raise
            session = newcomer._session
            if self._members[label] is not newcomer or session is None:
                return label
            self._cameras.append(newcomer)
            if self._started is not None:
                self._call(runtime, keep_streaming([session], self._started))
        for follower in tuple(self._followers):
            with _noted(session):
                follower.join(label, runtime, session, self._pending)
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
        for follower in tuple(self._followers):
            follower.part(name)
        camera.close()

    def _join(self, runtime: Runtime, newcomers: Sequence[Camera], name: str | None) -> list[str]:
        """Reach cameras and give them their places; tell the name of each, of a twin that of its board."""
        roll = Roll()  # the fleet file is read once for all of them
        sessions = [camera._attach(roll, strict=False)[1] for camera in newcomers]
        self._call(runtime, _reach(sessions))
        for camera, session in zip(newcomers, sessions, strict=True):
            camera._explain(session.link.last_error, session)
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

    def open(self) -> Self:
        """Reach all cameras side by side, for 6 s at most; does nothing when it is open."""
        with self._lock:
            if self._runtime is None:
                runtime = acquire_runtime()
                self._members = {}
                self._started = None
                try:
                    self._cameras += [Camera(camera) for camera in self._awaited]
                    self._awaited = ()
                    self._join(runtime, self._cameras, None)
                except BaseException:
                    self._leave(runtime)
                    raise
                self._runtime = runtime
        return self

    def close(self) -> None:
        """Let all cameras go; calls that wait end. Twice does nothing; figures stay readable."""
        while True:
            for future in tuple(self._pending):
                future.cancel()
            if self._lock.acquire(timeout=_SLICE_S):
                break
        try:
            runtime, self._runtime = self._runtime, None
            self._started = None
            if runtime is not None:
                self._leave(runtime)
        finally:
            self._lock.release()

    def _leave(self, runtime: Runtime) -> None:
        with contextlib.ExitStack() as ending:  # all of it, whatever interrupts a part
            ending.callback(runtime.release)
            for camera in self._cameras:
                ending.callback(camera.close)
            sessions = [camera._session for camera in self._cameras if camera._session is not None]
            close_followers(self._followers)
            if runtime.problem() is None:
                with contextlib.suppress(concurrent.futures.CancelledError):
                    runtime.call(_close(sessions), pending=set())

    def __enter__(self) -> Self:
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

    def _bring_in(self, follower: Follower, runtime: Runtime) -> None:
        """Let a follower take all cameras in; one that cannot stays out, and says so."""
        try:
            for name, session in self._sessions().items():
                with _noted(session):
                    follower.join(name, runtime, session, self._pending)
        except BaseException:
            follower.close()
            raise

    def _sessions(self) -> dict[str, CameraSession]:
        # Without the lock: one camera that is being added, and does not answer, must not hold up the others.
        return {name: camera._known() for name, camera in dict(self._members).items()}

    def _call(self, runtime: Runtime, coroutine: Coroutine[Any, Any, _T]) -> _T:
        try:
            return runtime.call(coroutine, pending=self._pending)
        except concurrent.futures.CancelledError:
            raise CameraError("this fleet was closed while a call waited") from None

    def _each(
        self, work: Callable[[CameraSession], Coroutine[Any, Any, _T]], without: str | None = None
    ) -> dict[str, _T | CameraError]:
        runtime = self._opened()
        sessions = {name: session for name, session in self._sessions().items() if name != without}
        results = self._call(runtime, _side_by_side(sessions.values(), work))
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


async def keep_streaming(sessions: Iterable[CameraSession], source: StreamSource) -> None:
    """Start streams and keep them; what a camera cannot is noted in its link."""

    async def one(session: CameraSession) -> None:
        with _noted(session):
            await session.keep_streaming(source)

    await asyncio.gather(*(one(session) for session in sessions))


@contextlib.contextmanager
def _noted(session: CameraSession) -> Iterator[None]:
    """Note an error of one camera in its link, and let the others go on."""
    try:
        yield
    except CameraError as error:
        session.link.last_error = error


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


async def _close(sessions: Iterable[CameraSession]) -> None:
    await asyncio.gather(*(session.close() for session in sessions))


def _same_board(member: Camera, newcomer: CameraSession) -> bool:
    """Tell whether a newcomer is a member under another address.

    Simulated cameras of several processes may share a MAC; boards do not sit behind one address.
    """
    known = member._known()
    if newcomer.info.mac is not None and known.info.mac is not None:
        # Of two that are away each may be known to have been last where the other one was.
        same = newcomer.info.mac == known.info.mac
        return same and (newcomer.address.host != known.address.host or newcomer.address == known.address)
    return known.address == newcomer.address
