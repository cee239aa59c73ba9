"""Many cameras as one: streamed from, set and looked at side by side.

A camera that is absent, dead or lying costs only itself: nothing here waits for one camera longer than for
the others, and nothing raises because of one. What happens to each is told by name.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from espressoscope.api.exposure import ExposureLock, copy_exposure, exposure_of
from espressoscope.api.fleet_record import FleetRecording
from espressoscope.api.frame_sets import FrameSetStream
from espressoscope.api.side_by_side import keep_streaming
from espressoscope.api.stream import check_waiting
from espressoscope.api.upkeep import settings_of
from espressoscope.api.view import PictureView
from espressoscope.engine.link import STALL_S
from espressoscope.engine.sets import FrameSets
from espressoscope.errors import CameraError, SettingError
from espressoscope.model import LinkState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from espressoscope.api.fleet_picture import FleetPicture
    from espressoscope.api.upkeep import Profile
    from espressoscope.engine.session import CameraSession, StreamSource
    from espressoscope.model import Frame, Order, Scale, SetResult, SettingValue, StreamStats

__all__ = ["Fleet"]


class Fleet(FleetRecording):
    """Several cameras, each under a name of its own: a mapping of name to `Camera`.

    Entering it reaches all of them side by side and never raises because one of them does not answer: such a
    camera is in the fleet all the same, `messages` says what is wrong with it, and once `start` has been
    called it is tried again and again, and joins in when it is there.

    Names are those of the fleet file, else those the cameras have. Where several have the same they get ``-``
    and the last six digits of their MAC behind it, or their address; a camera that has not been reached yet
    is named by its address. A name stays until the fleet is closed. Two addresses of one board count as one
    camera.

    Methods may be called from any thread.

    Parameters
    ----------
    cameras : iterable of str, CameraInfo or Member
        Anything `Camera` takes; what `discover` gives too, which is then waited for when the fleet is opened.
        `Fleet.load` makes a fleet of a fleet file.

    Raises
    ------
    ConnectError, UnsupportedError
        One of the addresses is none at all, and cannot be a name.

    Examples
    --------
    >>> import espressoscope as es
    >>> with es.Fleet(["10.0.0.20", "10.0.0.21"]) as fleet:  # doctest: +SKIP
    ...     fleet.start()
    ...     for name, frame in fleet.latest().items():
    ...         print(name, frame)
    """

    # ---- streams ----------------------------------------------------------------------------------

    _picture: FleetPicture | None = None

    def start(self, source: StreamSource = "auto") -> None:
        """Start all streams and keep them running; cameras that are not there are tried again and again.

        Parameters
        ----------
        source : {"auto", "mjpeg", "snapshots"}
            As for `Camera.stream`.
        """
        runtime = self._opened()
        self._started = source
        self._call(runtime, keep_streaming(list(self._sessions().values()), source))

    def stop(self) -> None:
        """Let all streams go; those that somebody still takes frames from go on."""
        runtime = self._opened()
        self._started = None
        self._call(runtime, _let_go(list(self._sessions().values())))

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
        check_waiting(self._opened(), timeout)
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
        alone = "" if self._runtime is None else "it has been closed"
        return {
            name: alone if session.closed else session.link.message
            for name, session in self._sessions().items()
        }

    def sets(
        self,
        tolerance_ms: float = 50.0,
        timeout: float = 10.0,
        *,
        fps: float | None = None,
        duplicates: bool = False,
    ) -> FrameSetStream:
        """Give frames that belong together: of each camera the one nearest to one instant, again and again.

        Starts the streams that do not run. In each set every camera of the fleet has its place; one without
        a frame within the tolerance is None, never represented by an older frame. No frame is in two sets.
        Instants are put where most cameras have a frame.

        Parameters
        ----------
        tolerance_ms : float
            Most that a frame's time (`Frame.received_ns`) may be away from the set's instant, up to 2000.
            Half the cameras' frame interval finds a frame of each camera in nearly every set.
        timeout : float
            Seconds without a frame of any camera after which CameraTimeout is raised.
        fps : float, optional
            Sets per second; else as many as the slowest camera that delivers has frames, at least one in 2 s.
        duplicates : bool
            Also use repeated pictures, which show an earlier instant.

        Returns
        -------
        FrameSetStream
            An iterator of `FrameSet`; close it, or use it in ``with``.

        Raises
        ------
        ValueError
            `tolerance_ms`, `timeout` or `fps` is out of range.
        """
        if not timeout > 0:  # nan neither
            raise ValueError("timeout must be positive")
        runtime = self._opened()
        sets = FrameSets(tolerance_ms=tolerance_ms, fps=fps, duplicates=duplicates)
        stream = FrameSetStream(self, runtime, sets, timeout, self._followers)
        self._bring_in(stream, runtime)
        return stream

    # ---- pictures ---------------------------------------------------------------------------------

    def view(
        self,
        use: Callable[[Frame, NDArray[np.uint8]], object],
        *,
        scale: Scale = 1,
        gray: bool = False,
        order: Order = "RGB",
        partial: bool = False,
    ) -> PictureView:
        """Have the newest pictures of all cameras decoded and given to a function, as they come.

        Cameras added later are in it too. `Frame.camera` tells whose picture it is.

        Parameters
        ----------
        use, scale, gray, order, partial
            As for `Camera.view`; called for different cameras side by side, on a few decode threads.

        Returns
        -------
        PictureView
            Close it, or use it in ``with``; it ends with the fleet at the latest.

        Raises
        ------
        ValueError
            There is no such scale or order.
        """
        runtime = self._opened()
        view = PictureView(use, scale, gray, order, partial, self._followers)
        self._bring_in(view, runtime)
        return view

    def mosaic(
        self,
        tile: tuple[int, int] | None = None,
        columns: int | None = None,
        *,
        max_width: int = 1920,
        out: NDArray[np.uint8] | None = None,
        timeout: float = 5.0,
    ) -> NDArray[np.uint8]:
        """Give the newest pictures of all cameras as one; starts the streams that do not run.

        A camera keeps its place whatever the others do. One without a picture has a dark tile with a cross; a
        picture older than 2 s is gray, and one that the camera sends again and again gray and bluish.

        Parameters
        ----------
        tile : (int, int), optional
            Height and width of each tile; else what suits the pictures, their number and `max_width`.
        columns : int, optional
            Tiles beside each other; else chosen for a picture of about 4:3.
        max_width : int
            Most pixels it may be wide.
        out : (H, W, 3) uint8 array, optional
            Draw into this array when it has the right shape, as the one given last time.
        timeout : float
            As for `latest`.

        Returns
        -------
        (H, W, 3) uint8, RGB

        Raises
        ------
        ValueError
            Tiles, columns or width leave no pixel, or make too many; or `out` is no writable array of uint8.
        """
        from espressoscope.api.fleet_picture import FleetPicture  # loads numpy

        if self._picture is None:
            self._picture = FleetPicture()
        frames = self.latest(timeout)
        sessions = self._sessions()
        frames = {name: frames.get(name) for name in sessions}
        return self._picture.draw(sessions, frames, (tile, columns, max_width), out)

    # ---- all at once ------------------------------------------------------------------------------

    def set(
        self, *, strict: bool = False, **values: SettingValue
    ) -> dict[str, dict[str, SetResult] | CameraError]:
        """Set one or more settings on all cameras side by side, and report what each has afterwards.

        Parameters
        ----------
        strict : bool
            Report a SettingError, whose `results` tell of each, for a camera that refused a setting.
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
        report = self._each(lambda session: session.set(values, strict=strict))
        errors = [result for result in report.values() if isinstance(result, CameraError)]
        refused = [error for error in errors if isinstance(error, SettingError) and not error.results]
        if refused and len(errors) == len(report):
            raise refused[0]
        return report

    def apply_profile(
        self, profile: Profile = None, *, keep: bool = False
    ) -> dict[str, dict[str, SetResult] | CameraError]:
        """Give all cameras the settings of a profile, side by side, and report what each has afterwards.

        Parameters
        ----------
        profile, keep
            As for `Camera.apply_profile`; without a profile each camera gets its own.

        Returns
        -------
        dict of str to (dict of str to SetResult, or CameraError)
            By name: what became of each setting, or why none could be set.

        Raises
        ------
        KeyError
            There is no profile of this name.
        FleetFileError
        """
        settings = settings_of(profile)
        return self._each(lambda session: session.upkeep.apply(settings, keep=keep))

    def compare_profile(self, profile: Profile = None) -> dict[str, dict[str, SetResult] | CameraError]:
        """Compare the settings of all cameras with a profile; nothing is set.

        Parameters
        ----------
        profile
            As for `Camera.compare_profile`; without one each camera is compared with its own.

        Raises
        ------
        KeyError
            There is no profile of this name.
        FleetFileError
        """
        settings = settings_of(profile)
        return self._each(lambda session: session.upkeep.compare(settings))

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


async def _let_go(sessions: Iterable[CameraSession]) -> None:
    await asyncio.gather(*(session.demand.let_go() for session in sessions))


def _newest(session: CameraSession, timeout_s: float) -> Frame | None:
    link = session.link

    def waiting_is_vain() -> bool:
        hopeful = link.state in (LinkState.CONNECTING, LinkState.LIVE) and link.last_error is None
        return session.closed or not hopeful

    return link.latest.wait(lambda frame: link.age_s(frame) <= STALL_S, waiting_is_vain, max(0.0, timeout_s))
