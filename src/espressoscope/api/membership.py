"""Who belongs to a fleet, under which name, and how all of them are reached and let go.

The ground `Fleet` stands on, as `handle` is that of `Camera`: nothing about streams or pictures.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from espressoscope.api import side_by_side
from espressoscope.api.at_exit import close_at_exit
from espressoscope.api.camera import Camera
from espressoscope.api.names import unique_names
from espressoscope.api.roll import Roll
from espressoscope.api.runtime import Runtime, acquire_runtime
from espressoscope.api.view import close_followers, closing_here
from espressoscope.errors import CameraError
from espressoscope.lab.entries import Member
from espressoscope.lab.fleet_file import FleetFile
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from types import TracebackType

    from espressoscope.api.follower import Follower
    from espressoscope.engine.session import CameraSession, StreamSource

__all__ = ["FleetHandle"]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

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
        awaited = isinstance(given, Iterator)
        self._awaited = iter(given if awaited else ())
        self._unlisted = ""
        self._cameras = [] if awaited else [Camera(camera) for camera in given]
        self._lock = threading.RLock()
        # Openers come one by one; closers hold the gate, so that no opener overtakes them; each leaves a
        # mark, by which openers see that one has come since they began.
        self._opening = threading.RLock()
        self._gate = threading.RLock()
        self._closing = object()
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
        runtime = self._opened()
        if name is not None and name in self._members:
            raise ValueError(f"{name!r} is taken by another camera of this fleet")
        try:
            sessions = self._reach(runtime, [newcomer])  # without the lock: one that is dead takes 6 s
        except BaseException:
            newcomer.close()
            raise
        with self._lock:
            try:
                if self._runtime is not runtime:
                    raise _closed_meanwhile()
                if name is not None and name in self._members:
                    raise ValueError(f"{name!r} is taken by another camera of this fleet")
                label = self._place([newcomer], sessions, name)[0]
            except BaseException:
                newcomer.close()
                raise
            session = newcomer._session
            if self._members[label] is not newcomer or session is None:
                return label
            self._cameras.append(newcomer)
            if self._started is not None:
                self._call(runtime, side_by_side.keep_streaming([session], self._started))
        for follower in tuple(self._followers):
            with side_by_side.noted(session):
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
            camera._belong("", None)
        for follower in tuple(self._followers):
            follower.part(name)
        camera.close()

    def _join(self, runtime: Runtime, newcomers: Sequence[Camera], name: str | None) -> list[str]:
        """Reach cameras and give them their places; tell the name of each, of a twin that of its board."""
        return self._place(newcomers, self._reach(runtime, newcomers), name)

    def _reach(self, runtime: Runtime, newcomers: Sequence[Camera]) -> list[CameraSession]:
        roll = Roll()  # the fleet file is read once for all of them
        sessions = [camera._attach(roll, strict=False)[1] for camera in newcomers]
        self._call(runtime, side_by_side.reach(sessions))
        for camera, session in zip(newcomers, sessions, strict=True):
            camera._explain(session.link.last_error, session)
        return sessions

    def _place(
        self, newcomers: Sequence[Camera], sessions: Sequence[CameraSession], name: str | None
    ) -> list[str]:
        labels = [name] if name is not None else unique_names(sessions, self._members)
        joined = []
        for camera, session, label in zip(newcomers, sessions, labels, strict=True):
            members = self._members.items()
            twin = next((each for each, member in members if side_by_side.same_board(member, session)), None)
            if twin is None:
                session.rename(label)
                camera._belong(label, self._returned)
                self._members[label] = camera
            else:
                _log.warning("%s is the same camera as %s: it counts once", session.info.shown.url, twin)
                camera.close()
            joined.append(twin or label)
        return joined

    def _returned(self, camera: Camera, runtime: Runtime, session: CameraSession) -> None:
        """Let a camera that was closed alone, and has been opened again, be what it was here."""
        # Without the lock: who closes the fleet holds it, and waits for this camera.
        name = next((name for name, each in dict(self._members).items() if each is camera), None)
        started = self._started
        if name is None or self._runtime is None:
            return
        if started is not None:
            camera._run(runtime, side_by_side.keep_streaming([session], started))
        for follower in tuple(self._followers):
            follower.part(name)
            with side_by_side.noted(session):
                follower.join(name, runtime, session, camera._pending)

    # ---- opening and closing ----------------------------------------------------------------------

    def open(self) -> Self:
        """Reach all cameras side by side, for 6 s at most; does nothing when it is open.

        A generator it was given is waited for; `close` from another thread breaks that off between two
        cameras, and the next `open` goes on with it.
        """
        closing = self._closing
        with self._opening:
            if self._runtime is not None:
                return self
            self._gather(closing)
            with self._gate:
                pass
            with self._lock:
                if self._closing is not closing:
                    raise _closed_meanwhile()
                runtime = acquire_runtime()
                self._members = {}
                self._started = None
                try:
                    self._join(runtime, self._cameras, None)
                except BaseException:
                    self._leave(runtime)
                    raise
                self._runtime = runtime
                close_at_exit(self)
        return self

    def _gather(self, closing: object) -> None:
        """Take the cameras that a search, or any other generator, gives one by one."""
        if self._unlisted:
            raise CameraError(
                f"its cameras are not known: what was to name them failed ({self._unlisted})",
                hint="Make a new Fleet, of a new search",
            )
        while self._closing is closing:
            try:
                self._cameras.append(Camera(next(self._awaited)))
            except StopIteration:
                return
            except BaseException as error:  # nothing more comes of it, and part of a fleet is none
                self._unlisted = repr(error)
                raise
        raise _closed_meanwhile()

    def close(self) -> None:
        """Let all cameras go; calls that wait end. Twice does nothing; figures stay readable."""
        self._closing = object()
        with closing_here(self), self._gate:
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
            close_followers(self._followers, self)
            if runtime.problem() is None:
                with contextlib.suppress(concurrent.futures.CancelledError):
                    runtime.call(side_by_side.close(sessions), pending=set())

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
                with side_by_side.noted(session):
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
            raise _closed_meanwhile() from None

    def _each(
        self, work: Callable[[CameraSession], Coroutine[Any, Any, _T]], without: str | None = None
    ) -> dict[str, _T | CameraError]:
        runtime = self._opened()
        sessions = {name: session for name, session in self._sessions().items() if name != without}
        results = self._call(runtime, side_by_side.each(sessions.values(), work))
        return dict(zip(sessions, results, strict=True))


def _closed_meanwhile() -> CameraError:
    return CameraError("this fleet was closed while a call waited")
