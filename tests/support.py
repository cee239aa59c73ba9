"""What every test file may import: waiting on conditions, what this process holds, private networks.

Nothing here knows a room of the package, and nothing here patches one: fakes are real implementations.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_T = TypeVar("_T")

REPO = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ESPRESSOSCOPE_SHARED") or REPO.parent / "shared")
FIXTURES = SHARED / "fixtures"


def wait_until(condition: Callable[[], _T], timeout_s: float = 5.0, *, what: str = "the condition") -> _T:
    """Call `condition` until it returns something true, and return that.

    Raises
    ------
    AssertionError
        It did not within `timeout_s`; `what` says what was waited for.
    """
    end = time.monotonic() + timeout_s
    pause_s = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"waited {timeout_s:g} s for {what}, last value {value!r}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)


@contextlib.contextmanager
def alone_on_usual_ports(timeout_s: float = 100.0) -> Iterator[None]:
    """Keep all other tests of this machine that do likewise, in whichever process, from running meanwhile.

    They take the ports on which a search of this computer expects simulated cameras, or search them.
    """

    end = time.monotonic() + timeout_s
    while True:
        try:
            lock = socket.create_server(("127.0.0.1", 8179))  # not searched; free again when its process dies
            break
        except OSError:
            assert time.monotonic() < end, (
                f"waited {timeout_s:g} s for other tests to be done with the usual ports"
            )
            time.sleep(0.005)
    with lock:
        yield
    time.sleep(0.015)  # who waits has a turn, before the next test here does the same


def steady_port() -> int:
    """Give a port of this computer that is free, the next one too, and that no system hands out meanwhile.

    For what listens there, goes, and comes back: a port the system has given may by then be another's.
    """
    for _ in range(200):
        port = random.randrange(20_000, 32_000, 2)
        try:
            for each in (port, port + 1):
                socket.create_server(("127.0.0.1", each)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no two ports in a row are free between 20000 and 32000")


class Holdings(NamedTuple):
    """What this process holds at one moment and has to give back."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    sockets: frozenset[str]

    @classmethod
    def now(cls) -> Holdings:
        """Look at this process; children and sockets where /proc tells (Linux), else none."""
        return cls(frozenset(threading.enumerate()), _children(), _sockets())

    def since(self, before: Holdings) -> list[str]:
        """Name what is held now and was not held in `before`, one line each."""
        lines = [f"thread {thread.name!r}" for thread in self.threads - before.threads if thread.is_alive()]
        lines += [f"child process {pid}: {_command(pid)}" for pid in self.children - before.children]
        lines += [f"open {socket}" for socket in self.sockets - before.sockets]
        return sorted(lines)


def leaked_since(before: Holdings, timeout_s: float = 2.0) -> list[str]:
    """Name what is still held after a short wait and was not held in `before`; usually an empty list."""
    end = time.monotonic() + timeout_s
    while True:
        lines = Holdings.now().since(before)
        if not lines or time.monotonic() >= end:
            return lines
        time.sleep(0.01)


def _children() -> frozenset[int]:
    pids: set[int] = set()
    for entry in Path("/proc/self/task").glob("*/children"):
        try:
            pids.update(int(pid) for pid in entry.read_text().split())
        except OSError:  # that thread has just ended
            continue
    # multiprocessing keeps one helper process for the life of the program that used it.
    return frozenset(pid for pid in pids if "multiprocessing" not in _command(pid))


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "(gone)"
    return b" ".join(words).decode(errors="replace").strip() or "(ended, not waited for)"


def _sockets() -> frozenset[str]:
    found: set[str] = set()
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        return frozenset()
    for name in os.listdir(folder):
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:  # the descriptor of this very listing, or closed meanwhile
            continue
        if target.startswith("socket:"):
            found.add(target)
    return frozenset(found)


class PrivateNetwork:
    """Runs commands in a new network namespace each: only what `setup` makes is there.

    No packet leaves it. Without `setup` there is not even a route: connecting gives ENETUNREACH.
    """

    def __init__(self, prefix: Sequence[str]) -> None:
        self._prefix = list(prefix)

    @classmethod
    def find(cls) -> PrivateNetwork | str:
        """Give one, or the reason why this machine or user has none."""
        if sys.platform != "linux":
            return "network namespaces are Linux's"
        if shutil.which("unshare") is None:
            return "network namespaces need the program unshare (Debian: util-linux)"
        problem = ""
        for prefix in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
            trial = subprocess.run([*prefix, "true"], capture_output=True, text=True, timeout=20, check=False)
            if trial.returncode == 0:
                return cls(prefix)
            problem = trial.stderr.strip()
        return f"no right to make a network namespace ({problem})"

    def run(
        self,
        command: Sequence[str],
        *,
        setup: Sequence[str] = (),
        timeout_s: float = 60.0,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command in a new namespace and wait for it.

        Parameters
        ----------
        command : sequence of str
            Program and arguments.
        setup : sequence of str
            Shell lines run there before, as its root: ``"ip link set lo up"``.
        env : dict, optional
            Variables on top of this process's.
        """
        script = "\n".join(["set -e", *setup, 'exec "$@"'])
        return subprocess.run(
            [*self._prefix, "sh", "-c", script, "sh", *command],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )

    def python(self, code: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a piece of Python there; `options` as for `run`."""
        return self.run([sys.executable, "-c", code], **options)  # type: ignore[arg-type]


class AllowedSkips:
    """The list of skips that do not fail a CI run.

    One ``nodeid-glob :: reason-glob`` a line; only ``*`` is special, because node ids hold brackets.
    """

    def __init__(self, text: str) -> None:
        self._rules: list[tuple[re.Pattern[str], re.Pattern[str]]] = []
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            nodeid, separator, reason = line.partition(" :: ")
            if not separator or not nodeid.strip() or not reason.strip():
                raise ValueError(f"allowed_skips.txt, line {number}: wanted 'nodeid-glob :: reason-glob'")
            self._rules.append((_glob(nodeid.strip()), _glob(reason.strip())))

    def allows(self, nodeid: str, reason: str) -> bool:
        """Say whether a rule covers this skip."""
        return any(where.fullmatch(nodeid) and why.fullmatch(reason) for where, why in self._rules)


def _glob(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)
