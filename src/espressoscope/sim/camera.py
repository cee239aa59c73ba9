"""`SimulatedCamera`: one simulated camera for a Python program, as a context manager.

The synchronous face of the simulator; the camera itself lives on the loop thread (`loop`), as a `board`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal, Self

from espressoscope.model import CameraInfo
from espressoscope.sim.addresses import cannot_listen, free_pair, shown
from espressoscope.sim.board import Board
from espressoscope.sim.device import DeviceOptions, mac_of
from espressoscope.sim.faults import Fault, make_fault, parse_fault
from espressoscope.sim.loop import LoopThread, acquire_loop, release_loop
from espressoscope.sim.records import DEFAULT_KEEP_BYTES, DEFAULT_KEEP_FRAMES, FrameLog
from espressoscope.tables.firmware import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from espressoscope.sim.sensor import Sensor

__all__ = ["ActiveFault", "SimulatedCamera"]

_PAIR_TRIES = 20

_numbers_lock = threading.Lock()
_numbers_in_use: Counter[int] = Counter()
"""How many running cameras have each number: one that was asked for may be taken twice."""


def _reserve(number: int | None) -> int:
    with _numbers_lock:
        if number is None:
            number = 0
            while _numbers_in_use[number]:
                number += 1
        _numbers_in_use[number] += 1
        return number


def _give_back(number: int) -> None:
    with _numbers_lock:
        _numbers_in_use[number] -= 1


class SimulatedCamera:
    """A camera on the network that behaves like a real one, without hardware.

    Parameters
    ----------
    firmware : str
        ``matchboxscope``, ``easytarget``, ``camerawebserver``, ``esphome`` or ``tasmota``.
    host : str
        Address to listen on.
    port : int
        Control port; the stream is on the next one (families with one port have only this). 0: any free ones.
    fps : float, optional
        Frames per second; None is the sensor's own rate for size and clock, 0 as fast as the client reads.
        ``min_frame_time`` slows either down.
    framesize : str, optional
        Name of the size at boot, for example ``"VGA"``; else the firmware's own.
    quality : int, optional
        JPEG quality setting at boot; else the firmware's own.
    name : str, optional
        What it calls itself; else the firmware's own name, which is the same on every board.
    seed : int
        Same seed and number, same MAC, scene and focus.
    number : int, optional
        Written into every picture's strip (8 bits) and part of the MAC; else the lowest not in use in this
        process.
    stream_port : int, optional
        Another stream port than the next.
    prerender : bool
        Send a cycle of 256 pictures made beforehand, each with its true number in the strip: many cameras
        at high rates cost little. Such cameras share a scene, show settings but no lamp and no adapting
        exposure, and send at multiples of 10 ms.
    keep : int or "all"
        Frames remembered in `sent`; 10,000, and 128 MiB, whatever comes first.
    keep_bytes : int
        The latter ceiling.
    side_delays : bool
        Spend the time the firmware spends blinking LEDs and writing flash.
    boot_s : float
        Seconds from loss of power to answering again.
    send_timeout_s : float
        Seconds after which the stream gives a stalled reader up; 5 in every firmware.
    rssi : int, optional
        What it says of its radio, in dBm; else -52 to -68. At 192.168.4.1 it is its own access point.
    faults : sequence of str
        Faults in force from the start, as on the command line.

    Raises
    ------
    ValueError
        Unknown firmware, size or fault.

    Examples
    --------
    >>> with SimulatedCamera(framesize="VGA") as camera:  # doctest: +SKIP
    ...     print(camera.url, camera.stream_url)
    ...     with camera.fault("stall", seconds=3):
    ...         ...
    """

    def __init__(
        self,
        firmware: str = "matchboxscope",
        host: str = "127.0.0.1",
        port: int = 0,
        fps: float | None = None,
        framesize: str | None = None,
        quality: int | None = None,
        name: str | None = None,
        seed: int = 0,
        *,
        number: int | None = None,
        stream_port: int | None = None,
        prerender: bool = False,
        keep: int | Literal["all"] = DEFAULT_KEEP_FRAMES,
        keep_bytes: int = DEFAULT_KEEP_BYTES,
        side_delays: bool = True,
        boot_s: float = 7.0,
        send_timeout_s: float = 5.0,
        rssi: int | None = None,
        faults: Sequence[str] = (),
    ) -> None:
        if firmware not in FAMILIES:
            raise ValueError(f"unknown firmware {firmware!r}; known are {', '.join(FAMILIES)}")
        if fps is not None and not 0 <= fps <= 1000:
            raise ValueError(f"fps is None, or 0 to 1000, not {fps!r}")
        self._start_faults = tuple(faults)
        for text in faults:
            parse_fault(text)
        self._host = host
        self._wanted = (port, stream_port if stream_port is not None else (port + 1 if port else 0))
        self._asked_number = number
        self._seed = seed
        self._loop: LoopThread | None = None
        self._board: Board | None = None
        self._lock = threading.Lock()
        self._options = DeviceOptions(
            firmware=firmware,
            number=0 if number is None else number,
            seed=seed,
            name=name,
            framesize=framesize,
            quality=quality,
            fps=fps,
            prerender=prerender,
            keep=keep,
            keep_bytes=keep_bytes,
            side_delays=side_delays,
            boot_s=boot_s,
            send_timeout_s=send_timeout_s,
            rssi=rssi,
        )

    # --- life

    def start(self) -> Self:
        """Switch the camera on; twice is no harm.

        Raises
        ------
        CameraError
            A port is taken or the address is not of this machine.
        ValueError
            The sensor cannot deliver the size.
        """
        with self._lock:
            if self._board is not None and self._loop is not None:
                return self
            number = _reserve(self._asked_number)
            loop = acquire_loop()
            try:
                options = self._options._replace(number=number)
                self._board = loop.run(self._boot(loop, options))
            except BaseException as error:
                release_loop()
                _give_back(number)
                if isinstance(error, OSError):
                    raise cannot_listen(self._host, self._wanted, error) from error
                raise
            self._loop = loop
            self._options = options
        for text in self._start_faults:
            loop.run(self._board.begin(parse_fault(text)))
        return self

    async def _boot(self, loop: LoopThread, options: DeviceOptions) -> Board:
        port, stream_port = self._wanted
        tries = 1 if port or stream_port else _PAIR_TRIES
        while True:
            tries -= 1
            if not (self._wanted[0] or self._wanted[1]):
                # The stream server listens one port above the control server (``config.server_port += 1`` in
                # app_httpd.cpp): CameraWebServer and Tasmota tell their clients no other way.
                port, stream_port = free_pair(self._host)
            board = Board(options, self._host, port, stream_port, loop.workshop)
            try:
                await board.start()
            except OSError:
                if tries <= 0:
                    raise
            else:
                return board

    def stop(self) -> None:
        """Switch the camera off and close everything it has open; twice is no harm. `sent` stays readable."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is None or self._board is None:
                return
            try:
                loop.run(self._board.stop())
            finally:
                release_loop()
                _give_back(self._options.number)

    def prepare(self, timeout_s: float = 120.0) -> None:
        """Wait until every picture of a pre-rendered camera's cycle is made; else nothing to wait for.

        Raises
        ------
        TimeoutError
            It took longer; the camera goes on making them.
        """
        board = self._started()
        if self._loop is not None and self._options.prerender:
            self._loop.run(asyncio.wait_for(board.device.prepared(), timeout_s), timeout_s + 5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it is switched on."""
        return self._loop is not None

    # --- who and where

    def _started(self) -> Board:
        if self._board is None:
            raise RuntimeError("this simulated camera has not been started; use it in a with statement")
        return self._board

    @property
    def url(self) -> str:
        """Base of its control requests."""
        return f"http://{shown(self._host)}:{self._started().port}"

    @property
    def stream_url(self) -> str:
        """Where its stream is."""
        path = FAMILIES[self.firmware].stream_path
        return f"http://{shown(self._host)}:{self._started().stream_port}{path}"

    @property
    def firmware(self) -> str:
        """Its family."""
        return self._options.firmware

    @property
    def mac(self) -> str:
        """Its MAC, upper-case with colons."""
        return mac_of(self._seed, self._options.number)

    @property
    def name(self) -> str:
        """What it calls itself."""
        return self._started().device.name

    @property
    def number(self) -> int:
        """Its number in the strip, before that is cut to 8 bits."""
        return self._options.number

    @property
    def info(self) -> CameraInfo:
        """All that as discovery would find it."""
        return CameraInfo(self.name, self.url, self.stream_url, self.mac, self.firmware, "given")

    # --- what it did

    @property
    def sent(self) -> FrameLog:
        """Every frame sent on the stream, as far as remembered: ``.number`` and ``.jpeg``."""
        return self._started().device.sent

    @property
    def captured(self) -> FrameLog:
        """Every single picture sent (the last 256)."""
        return self._started().device.captured

    @property
    def requests(self) -> list[str]:
        """Request lines as they arrived, on every port, oldest first (the last 1000)."""
        return list(self._started().device.requests)

    @property
    def sensor(self) -> Sensor:
        """The settings, and where the focus motor is."""
        return self._started().device.sensor

    @property
    def reboots(self) -> int:
        """How often it has booted again."""
        return self._started().device.reboots

    @property
    def uptime_s(self) -> float:
        """Seconds since it booted."""
        return self._started().device.uptime_us / 1e6

    # --- what goes wrong

    def fault(self, name: str, **options: float | str | None) -> ActiveFault:
        """Give a fault to use in a ``with`` statement; the table is in `espressoscope.sim.faults`.

        Raises
        ------
        ValueError
            Unknown fault or option.
        """
        return ActiveFault(self, make_fault(name, **options))

    def _begin(self, fault: Fault) -> None:
        board = self._started()
        if self._loop is None:
            raise RuntimeError("this simulated camera has been stopped")
        self._loop.run(board.begin(fault))

    def _end(self, fault: Fault) -> None:
        if self._loop is not None and self._board is not None:
            board = self._board
            self._loop.call(lambda: board.end(fault))

    def __repr__(self) -> str:
        where = self.url if self._board is not None else "not started"
        return f"<SimulatedCamera {self.firmware} {where}>"


class ActiveFault:
    """A fault of one camera, in force inside the ``with`` block."""

    def __init__(self, camera: SimulatedCamera, fault: Fault) -> None:
        self._camera = camera
        self._fault = fault

    def __enter__(self) -> Self:
        self._camera._begin(self._fault)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._camera._end(self._fault)

    @property
    def hits(self) -> int:
        """Frames, answers or connections it has touched so far."""
        return self._fault.hits
