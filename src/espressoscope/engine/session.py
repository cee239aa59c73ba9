"""One camera in use: its device and its link together.

The device answers requests, the link keeps the stream; this holds both, and sees to it that what streams is
the camera it was: recognised before its first frame, and again after every longer break. What else belongs to
a camera in use has a file of its own: who wants its stream (`demand`), fresh pictures (`stills`), the rate
(`pace`), cameras that move (`whereabouts`). Asynchronous: everything runs on the loop's thread, except
reading `link`'s slot, subscriptions and figures, and the plain attributes.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from espressoscope.device.address import parse_address
from espressoscope.device.camera import CameraDevice
from espressoscope.device.identify import identify_or_raise
from espressoscope.device.snapshots import SnapshotPoller
from espressoscope.device.stream import open_stream
from espressoscope.engine.approach import RECONNECT_TIMEOUT_S, OpenedStream, open_verified
from espressoscope.engine.controls import SessionControls
from espressoscope.engine.demand import Demand
from espressoscope.engine.link import Link
from espressoscope.engine.pace import Pace
from espressoscope.engine.seek import find_known, recognise_again, with_mac
from espressoscope.engine.stills import Stills
from espressoscope.engine.upkeep import Upkeep
from espressoscope.engine.whereabouts import Whereabouts, other_camera
from espressoscope.engine.witness import SizeWitness
from espressoscope.errors import CameraError, UnsupportedError
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.device.address import Address
    from espressoscope.device.identify import Identity
    from espressoscope.device.stream import Source, StreamSink
    from espressoscope.engine.locator import Locator
    from espressoscope.engine.slot import Consumer

__all__ = ["CameraSession", "StreamSource"]

StreamSource = Literal["auto", "mjpeg", "snapshots"]

_RESTORE_S = 0.4
_SEEK_PAUSE_S = 30.0


class CameraSession(SessionControls):
    """A camera, before and after it has been reached.

    Making one does nothing on the network. `reach` recognises the camera, and so does the link, again and
    again, when it is started before: a camera that is switched on later is as good as one that was there.

    Parameters
    ----------
    address : Address
        Control base, or URL of a bare stream.
    given : CameraInfo, optional
        What is known already. If it has a MAC, a camera with another one is not taken for this one.
    locator : Locator, optional
        Asked for the camera when it is not at its address.
    name : str
        Its name in the fleet file, in place of what it calls itself.
    wall_offset_ns : int, optional
        As for `Link`.

    Attributes
    ----------
    info : CameraInfo
        What it is; until it is reached what was given, or little more than its address.
    device : CameraDevice or None
        Its control side; None for a bare stream, and before it is reached.
    reached : bool
        It has been recognised.
    closed : bool
        It is over.
    refusal : CameraError or None
        Why it cannot even be tried: nobody knows where.
    """

    def __init__(
        self,
        address: Address,
        given: CameraInfo | None = None,
        locator: Locator | None = None,
        name: str = "",
        wall_offset_ns: int | None = None,
    ) -> None:
        self.address = address
        self.name = name
        self.info = given or CameraInfo(address.netloc, address.url, None, None, "unknown", "given")
        self.device: CameraDevice | None = None
        self.reached = False
        self.closed = False
        self.refusal: CameraError | None = None
        self.link = Link(self.camera, self._open_source, wall_offset_ns=wall_offset_ns)
        self.sizes = SizeWitness(self.link)
        self.demand = Demand(self)
        self.pace = Pace()
        self.stills = Stills(self)
        self.upkeep = Upkeep(self)
        self._label = ""
        self._stream: Address | None = None
        self._source: StreamSource = "auto"
        self._interval_s = 1.0
        self._mode: Literal["mjpeg", "snapshots"] = "mjpeg"
        self._ready_source: OpenedStream | None = None
        self._reaching = asyncio.Lock()
        self._awaited_restoring = False
        self._locator = locator
        self._seek_again = 0.0
        self._whereabouts = Whereabouts(locator, self._move_to, self.link)

    @property
    def mode(self) -> Literal["mjpeg", "snapshots"]:
        """What the link takes its frames from."""
        return self._mode

    # ---- recognising it -------------------------------------------------------------------------

    async def reach(self, *, seek: bool = True) -> None:
        """Recognise the camera; does nothing when it has been reached.

        A URL with a path is tried as a bare MJPEG stream first; one without, and a plain host, as a camera's
        control base first. A stream that was opened to find out is kept: some servers serve one client only,
        once. A camera of known MAC that is not there is looked for elsewhere for a few seconds.

        Parameters
        ----------
        seek : bool
            False: only where it was; so it is for half a minute after a search, too.

        Raises
        ------
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        async with self._reaching:
            self.check_open()
            if self.reached:
                return
            if self.refusal is not None:
                raise copy.copy(self.refusal)
            now = time.monotonic()
            seek = seek and now > self._seek_again
            if seek:
                self._seek_again = now + _SEEK_PAUSE_S
            found = await find_known(self.address, self.info, self._locator, seek=seek)
            if isinstance(found, OpenedStream):
                self._become_bare(found)
            else:
                self._become(*found)
            if self.closed:  # meanwhile, by another thread
                await self.close()
                self.check_open()

    def _become(self, base: Address, identity: Identity) -> None:
        # A caller's word about the firmware is no identity; the MAC is.
        if self.info.mac is not None and (difference := other_camera(self.info, identity)) is not None:
            raise difference
        self.address = base
        self.device = CameraDevice(base, identity)
        name = self.name or identity.info.name
        self.info = replace(identity.info, name=name, mac=identity.info.mac or self.info.mac)
        self._stream = identity.stream
        self._recognised(newcomer_steals=identity.family.newcomer_steals)

    def _become_bare(self, opened: OpenedStream) -> None:
        address = opened.address
        self.address = address
        self.info = replace(self.info, url=address.url, stream_url=address.url)
        self._stream = address
        self._ready_source = opened
        self._recognised(newcomer_steals=False)
        # An open stream that nobody reads would fill with old frames.
        self.demand.kept = True
        self.link.start()

    def _recognised(self, *, newcomer_steals: bool) -> None:
        self.reached = True
        self.link.camera = self.camera
        self.link.identify(
            self._label or self.info.name,
            control_answers=None if self.device is None else self.device.answers,
            newcomer_steals=newcomer_steals,
        )
        self._whereabouts.settled()
        self._note_rate()

    def rename(self, label: str) -> None:
        """Give it a name of ours, written into frames from now on."""
        self._label = self.link.name = label

    async def verify_if_doubtful(self) -> None:
        """Make sure that this is still the same camera, if another one may have taken its place by now."""
        if self.device is not None and self._whereabouts.doubtful:
            try:
                await self._verify()
            except CameraError as error:
                self._whereabouts.missed(self.info, error)  # where it is now is asked for the next time
                raise

    async def _verify(self) -> None:
        """Make sure, after a break, that this is still the same camera, and read its settings anew.

        Raises
        ------
        ConnectError, CameraTimeout, RemoteProtocolError
            It is another one, or cannot tell where it must.
        """
        device = self.device
        assert device is not None
        identity = await recognise_again(device.address, self.info, self._locator, self._whereabouts)
        if identity is not None:
            device.table.update(identity.status)
            self.sizes.note_change()
            self._note_rate()

    async def _move_to(self, url: str) -> None:
        """Use the camera at another address from now on."""
        base = replace(parse_address(url), path="", auth=self.address.auth)
        identity = await identify_or_raise(base, found_by=self.info.found_by)
        identity = await with_mac(identity, base, self._locator)
        async with self._reaching:
            if not self.closed:
                self._become(base, identity)

    async def close(self) -> None:
        """Stop the stream and let its waiters go; twice does nothing."""
        self.closed = True
        self._whereabouts.close()
        await self.link.stop()
        # A large still that was broken off is restoring the camera's size: that takes two short requests.
        if not self._awaited_restoring:
            self._awaited_restoring = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RESTORE_S), self.demand.pausing:
                    pass
        if self._ready_source is not None:
            self._ready_source.connection.abort()
            self._ready_source = None

    def check_open(self) -> None:
        """Refuse what cannot be done any more.

        Raises
        ------
        CameraError
            It has been closed.
        """
        if self.closed:
            raise CameraError("it has been closed", camera=self.camera, hint="Call open() to use it again")

    # ---- the stream -----------------------------------------------------------------------------

    async def keep_streaming(self, source: StreamSource = "auto") -> None:
        """Start the stream and keep it until `close` or `Demand.let_go`."""
        self.check_open()
        self.choose(source, None)
        self.demand.keep()

    async def begin_streaming(self, source: StreamSource, interval_s: float | None) -> None:
        """Start the stream for one more consumer."""
        self.check_open()
        self.choose(source, interval_s)
        self.demand.add()

    async def take_frames(
        self,
        consumer: Consumer,
        source: StreamSource = "auto",
        interval_s: float | None = None,
        first: Callable[[], object] | None = None,
    ) -> None:
        """Start the stream when it does not run, and hand its frames to a consumer.

        `first` is called at the last moment: no frame comes between it and the first one handed over.
        """
        await self.begin_streaming(source, interval_s)
        try:
            if first is not None:
                first()
        except BaseException:
            await self.demand.remove()
            raise
        self.link.subscribe(consumer)

    async def leave_frames(self, consumer: Consumer) -> None:
        """End `take_frames`; twice does nothing."""
        if self.link.unsubscribe(consumer):
            await self.demand.remove()

    def choose(self, source: StreamSource, interval_s: float | None) -> None:
        """Decide where frames come from, as far as nobody has decided before.

        Raises
        ------
        UnsupportedError
            It has no such source, or sends the other.
        """
        if self.link.stopped and not self.demand.wanted:
            self._source = source
        elif source not in ("auto", self._source) and (not self.reached or source != self._mode):
            raise UnsupportedError(
                f"it is already sending {self._mode}",
                camera=self.camera,
                hint="Pictures from /capture beside a stream can freeze the camera: end the stream first",
            )
        if interval_s is not None:
            self._interval_s = interval_s
        if self.reached and self.link.stopped:
            self._mode = self._resolved()

    def _resolved(self) -> Literal["mjpeg", "snapshots"]:
        wanted = self._source
        if wanted == "auto":
            wanted = "mjpeg" if self._stream is not None and not self.pace.by_snapshots else "snapshots"
        if wanted == "mjpeg" and self._stream is None:
            raise UnsupportedError(
                "it has no stream", camera=self.camera, hint='Use stream(source="snapshots") instead'
            )
        if wanted == "snapshots":
            self.controls.snapshot_path()
            return "snapshots"
        if self.pace.by_snapshots:
            raise UnsupportedError(
                "its frame rate is limited, and only single pictures keep the limit",
                camera=self.camera,
                hint='Lift it with set(fps_limit=0), or leave the choice to stream(source="auto")',
            )
        return "mjpeg"

    async def _open_source(self, sink: StreamSink) -> Source:
        try:
            if not self.reached:
                await self.reach(seek=False)
            source = await self._connect(sink)
        except CameraError as error:
            self._whereabouts.missed(self.info, error)
            raise
        self._whereabouts.seen()
        return source

    async def _connect(self, sink: StreamSink) -> Source:
        doubtful = self._whereabouts.stream_doubtful
        # Beside another viewer's stream a capture could do harm: a stream's first frame may be an old one.
        await self.upkeep.assure(flush=self._resolved() == "snapshots")
        self._mode = self._resolved()
        if self._mode == "snapshots":
            device = self.controls
            await self.verify_if_doubtful()
            interval_s = self.pace.slowed(self._interval_s)
            return SnapshotPoller(device.port, device.snapshot_path(), sink, interval_s)
        if self._ready_source is not None:
            opened, self._ready_source = self._ready_source, None
            opened.relay.pass_on_to(sink)
            return opened.connection
        assert self._stream is not None
        if self.device is None or not doubtful:
            return await open_stream(
                self._stream, sink, camera=self.camera, connect_timeout_s=RECONNECT_TIMEOUT_S
            )
        twice = self._whereabouts.suspect
        connection, dropped = await open_verified(
            self._stream, sink, self._verify, camera=self.camera, twice=twice
        )
        self.link.meter.dropped += dropped
        return connection
