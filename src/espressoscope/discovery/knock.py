"""Opening many connections side by side: a socket each, and nothing else as long as nobody answers.

No task, no transport and no timer for each address: most addresses of a network are silent, and asyncio's
own way, several objects for each of them, takes longer than the cameras do to answer. What is said on a
connection that has been opened is not decided here.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from espressoscope.discovery.places import Target

__all__ = ["Knocks"]

_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY, errno.EINTR}

_TICK_S: Final = 0.02
"""Shortest time between two looks at the clock: those whose time is up meanwhile are let go together."""

# The loop of Windows cannot watch a socket that connects, only connect it, for which it wants a task.
_BY_TASK: Final = sys.platform == "win32"


class _Knock(NamedTuple):
    target: Target
    sock: socket.socket
    until: float


class Knocks:
    """Connections being opened; an asynchronous context manager that leaves none of them.

    Parameters
    ----------
    timeout_s : float
        Longest wait for each.
    answered : callable
        Told target and socket, connected and non-blocking, which is the callable's from then on. It must send
        its whole request at once.
    failed : callable
        Told target and error; None is silence. Called by `begin` itself when that is known at once.
    """

    def __init__(
        self,
        timeout_s: float,
        answered: Callable[[Target, socket.socket], None],
        failed: Callable[[Target, OSError | None], None],
        *,
        by_task: bool = _BY_TASK,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._answered = answered
        self._failed = failed
        self._by_task = by_task
        # By file descriptor, which costs a selector less than the socket, and in the order of their ends: all
        # wait equally long.
        self._open: dict[int, _Knock] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, target: Target) -> None:
        """Begin to connect to a target whose host is a numerical address; never raises."""
        try:
            sock = socket.socket(socket.AF_INET6 if ":" in target.host else socket.AF_INET)
        except OSError as error:
            self._failed(target, error)
            return
        try:
            sock.setblocking(False)
            if self._by_task:
                self._begin_task(target, sock)
                return
            number = sock.connect_ex((target.host, target.port))
            if number not in _UNDER_WAY:
                raise OSError(number, errno.errorcode.get(number, "?"))
            knock = _Knock(target, sock, self._loop.time() + self._timeout_s)
            self._loop.add_writer(sock.fileno(), self._opened, knock)
        except OSError as error:
            sock.close()
            self._failed(target, error)
            return
        self._open[sock.fileno()] = knock
        if self._timer is None:
            self._timer = self._loop.call_at(knock.until, self._look_at_the_clock)

    def _opened(self, knock: _Knock) -> None:
        sock = knock.sock
        self._forget(knock)
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            sock.close()
            self._failed(knock.target, OSError(number, errno.errorcode.get(number, "?")))
        else:
            self._answered(knock.target, sock)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        now = self._loop.time()
        over = []
        for knock in self._open.values():
            if knock.until > now:
                at = max(knock.until, now + _TICK_S)
                self._timer = self._loop.call_at(at, self._look_at_the_clock)
                break
            over.append(knock)
        for knock in over:
            self._forget(knock)
            knock.sock.close()
            self._failed(knock.target, None)

    def _forget(self, knock: _Knock) -> None:
        number = knock.sock.fileno()
        self._loop.remove_writer(number)
        del self._open[number]

    # --- where the loop cannot watch

    def _begin_task(self, target: Target, sock: socket.socket) -> None:
        task = self._loop.create_task(self._connect(target, sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step closes nothing.
        task.add_done_callback(lambda task: sock.close() if task.cancelled() else None)

    async def _connect(self, target: Target, sock: socket.socket) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._loop.sock_connect(sock, (target.host, target.port))
        except TimeoutError:
            sock.close()
            self._failed(target, None)
        except OSError as error:
            sock.close()
            self._failed(target, error)
        else:
            self._answered(target, sock)

    # --- the end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for knock in tuple(self._open.values()):
            self._forget(knock)
            knock.sock.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
