"""A simulated camera with its network: ports, power, and the faults that concern them.

Everything here runs on the loop's thread. What a camera is apart from that is in `device`, what it says in
`families`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Final, Protocol

from espressoscope.sim.device import Device, DeviceOptions
from espressoscope.sim.families.camerawebserver import camerawebserver
from espressoscope.sim.families.esphome import esphome
from espressoscope.sim.families.matchboxscope import easytarget, matchboxscope
from espressoscope.sim.families.tasmota import tasmota
from espressoscope.sim.sockets import close_socket, drain_socket, reset_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from espressoscope.sim.faults import Fault
    from espressoscope.sim.loop import Workshop

__all__ = ["Board", "Server"]

_WATCHDOG_S: Final = 3.0
"""``esp_task_wdt_init(3, true)`` before the endless loop that is the firmware's reboot."""

_GHOSTS_KEPT: Final = 32
_SEND_BUFFER: Final = 65_536
_LOAD_SEND_BUFFER: Final = 262_144
"""Room for a whole frame, so that sending one is one call."""


class Server(Protocol):
    """A port of the camera."""

    port: int

    @property
    def backlog(self) -> int:
        """Connections the kernel keeps until they are served."""

    def listen(self) -> None:
        """Open the listening socket."""

    def start(self) -> None:
        """Begin to serve."""

    def hold(self, held: bool) -> None:
        """Let another viewer take the server, or leave it."""

    async def halt(self) -> list[socket.socket]:
        """Stop at once and give up the connections, open."""

    def close_listener(self) -> None:
        """Listen no more."""

    @property
    def listener(self) -> socket.socket | None:
        """The listening socket, while there is one."""

    async def close(self) -> None:
        """End everything."""


_FAMILIES: Final[Mapping[str, Callable[[Board], Sequence[Server]]]] = {
    "matchboxscope": matchboxscope,
    "easytarget": easytarget,
    "camerawebserver": camerawebserver,
    "esphome": esphome,
    "tasmota": tasmota,
}


class Board:
    """One camera on the network.

    Parameters
    ----------
    options : DeviceOptions
        What it is.
    host, port, stream_port
        Where it listens; 0 means any free port.
    workshop : Workshop
        Where pictures are made.

    Attributes
    ----------
    device : Device
        Sensor, pictures, identity.
    servers : sequence of Server
        The control port's first; one where a family has one port.
    wifi : dict
        ``ssid`` and ``password`` as last set; kept over restarts.
    network : str
        Name of the network it is in since it started.
    """

    def __init__(
        self, options: DeviceOptions, host: str, port: int, stream_port: int, workshop: Workshop
    ) -> None:
        self.options = options
        self.host = host
        self._wanted = (port, stream_port)
        self.device = Device(options, workshop)
        self.wifi = {"ssid": "Blynk", "password": "12345678"}
        self.network = self.wifi["ssid"]
        self.send_buffer = _LOAD_SEND_BUFFER if options.prerender else _SEND_BUFFER
        self.servers: Sequence[Server] = ()
        self.powered = False
        self._outages = 0
        self._restarting = False
        self._in_force: dict[str, list[Fault]] = {}
        self._ghosts: list[socket.socket] = []
        self._plugs: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # --- addresses

    @property
    def port(self) -> int:
        """Control port."""
        return self.servers[0].port if self.servers else self._wanted[0]

    @property
    def stream_port(self) -> int:
        """Stream port; the control port where a family has one."""
        return self.servers[-1].port if self.servers else self._wanted[1]

    def stream_url_seen_by(self, sock: socket.socket) -> str:
        """Address of the stream as the firmware tells it to this client: always with its own IP."""
        host = sock.getsockname()[0]
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.stream_port}/"

    # --- power

    async def start(self) -> None:
        """Open the ports and boot.

        Raises
        ------
        OSError
            A port is taken; nothing is left open.
        """
        self.servers = _FAMILIES[self.options.firmware](self)
        try:
            for server in self.servers:
                server.listen()
        except OSError:
            await self.stop()
            raise
        for server in self.servers:
            server.start()
        self.powered = True
        self.device.prepare()

    async def stop(self) -> None:
        """Close every port and connection; twice is no harm."""
        for task in list(self._tasks):
            task.cancel()
        self.device.cool()
        for server in self.servers:
            await server.close()
        for ghost in self._ghosts:
            self._unwatch(ghost)
            close_socket(ghost)
        self._ghosts.clear()
        self._unplug()
        self.powered = False

    async def power_off(self) -> None:
        """Vanish: connections stay as they are, without FIN or RST, and nothing answers.

        As often as this is called, `power_on` must be.
        """
        self._outages += 1
        if not self.powered:
            return
        self.powered = False
        for ghost in self._ghosts:
            self._unwatch(ghost)  # those of an outage before are answered no more than others
        for server in self.servers:
            halted = await server.halt()
            halted += _waiting(server.listener)
            for ghost in halted:
                drain_socket(ghost)  # what a camera has taken in, it does not answer after a restart
            self._ghosts += halted
        while len(self._ghosts) > _GHOSTS_KEPT:
            reset_socket(self._ghosts.pop(0))
        for server in self.servers:
            self._plug(server)

    def power_on(self, *, rebooted: bool) -> None:
        """Answer again, unless another outage goes on.

        Connections from before are unknown after a reboot, and reset when they speak.
        """
        self._restarting |= rebooted
        self._outages -= 1
        if self.powered or self._outages > 0:
            return
        if self._restarting:
            self._restarting = False
            self.device.boot()
            self.network = self.wifi["ssid"]
        self._unplug()
        loop = asyncio.get_running_loop()
        for ghost in self._ghosts:
            loop.add_reader(ghost.fileno(), self._forget, ghost)
        for server in self.servers:
            server.start()
        self.powered = True

    def _forget(self, ghost: socket.socket) -> None:
        self._unwatch(ghost)
        if ghost in self._ghosts:
            self._ghosts.remove(ghost)
        reset_socket(ghost)

    @staticmethod
    def _unwatch(sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(sock.fileno())

    def _plug(self, server: Server) -> None:
        """Fill the kernel's queue of a port, so that connects are not even answered (Linux only).

        Elsewhere a full queue refuses; there the first connects succeed and stay silent.
        """
        listener = server.listener
        if sys.platform == "linux" and listener is not None:
            listener.listen(0)
            plug = socket.socket(listener.family, socket.SOCK_STREAM)
            plug.setblocking(False)
            address = listener.getsockname()
            if address[0] in ("0.0.0.0", "::"):
                loopback = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
                address = (loopback, *address[1:])
            with contextlib.suppress(BlockingIOError):
                plug.connect(address)
            self._plugs.append(plug)

    def _unplug(self) -> None:
        for plug in self._plugs:
            close_socket(plug)
        if self._plugs:
            for server in self.servers:
                if server.listener is not None:
                    server.listener.listen(server.backlog)
        self._plugs.clear()

    # --- reboots

    def reboot_by_watchdog(self) -> None:
        """Reboot as ``/control?var=reboot`` does: stuck for 3 s, then gone, then booting."""
        self.crash(after_s=_WATCHDOG_S)

    def crash(self, after_s: float = 0.0) -> None:
        """Lose power after a while and boot again."""
        self.spawn(self._crash(after_s))

    async def _crash(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self.power_off()
        await asyncio.sleep(self.options.boot_s)
        self.power_on(rebooted=True)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run a coroutine until the camera is stopped."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- faults

    async def begin(self, fault: Fault) -> None:
        """Put a fault in force now, or after its ``after``; it ends by itself after its ``seconds``."""
        after_s = fault.number("after")
        if after_s > 0:
            self.spawn(self._begin_later(fault, after_s))
        else:
            await self._begin_now(fault)

    async def _begin_later(self, fault: Fault, after_s: float) -> None:
        fault.state["waiting"] = True
        await asyncio.sleep(after_s)
        if fault.state.pop("waiting", False):
            await self._begin_now(fault)

    async def _begin_now(self, fault: Fault) -> None:
        name = fault.name
        # The newest of a kind is in force; the one before it is again when that ends.
        self._in_force.setdefault(name, []).append(fault)
        self.device.faults[name] = fault
        if name in ("vanish", "reboot"):
            fault.hits += 1
            await self.power_off()
        elif name == "refuse":
            for server in self.servers:
                server.close_listener()
        elif name == "silent-second":
            self.servers[-1].hold(True)
        elif name == "stale-capture":
            await self.device.fill_stale(fault)
        seconds = fault.options.get("seconds")
        if seconds is None and name == "reboot":
            seconds = self.options.boot_s
        if seconds is not None:
            self.spawn(self._end_later(fault, float(seconds)))

    async def _end_later(self, fault: Fault, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.end(fault)

    def end(self, fault: Fault) -> None:
        """End a fault; twice, or before it began, is no harm."""
        fault.state.pop("waiting", None)
        name = fault.name
        same = self._in_force.get(name, [])
        if fault not in same:
            return
        same.remove(fault)
        if same:
            self.device.faults[name] = same[-1]
        else:
            del self.device.faults[name]
        undo = fault.state.get("undo")
        fault.state.clear()  # begun once more it is a new one
        if name in ("vanish", "reboot"):
            self.power_on(rebooted=name == "reboot")
        elif name == "refuse" and not same:
            self._listen_again()
        elif name == "silent-second" and not same:
            self.servers[-1].hold(False)
        if undo is not None:
            undo()

    def _listen_again(self) -> None:
        for server in self.servers:
            server.listen()
            if not self.powered:
                self._plug(server)


def _waiting(listener: socket.socket | None) -> list[socket.socket]:
    """Take the connections that nobody has served yet: a board that restarts does not know these either."""
    waiting: list[socket.socket] = []
    with contextlib.suppress(OSError):  # none left
        while listener is not None:
            sock = listener.accept()[0]
            sock.setblocking(False)
            waiting.append(sock)
    return waiting
