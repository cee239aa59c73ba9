"""A local network of virtual cards with a radio between them; the program that measures is at the near end.

To be used inside a network namespace of one's own (`PrivateNetwork`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

FOLDER = Path(__file__).resolve().parent
NEAR = "10.77.0.1"
_TUNSETIFF = 0x400454CA
_TAP, _NO_PI = 0x0002, 0x1000


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


def new_card(name: str) -> int:
    """Make a virtual network card in this namespace; gives the descriptor its frames come out of."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP | _NO_PI))
    return descriptor


class Program:
    """One of our programs, that answers each line with a line."""

    def __init__(self, *command: str, pass_fds: tuple[int, ...] = ()) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=pass_fds
        )

    def ask(self, line: str) -> Any:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)
        return json.loads(self.line())

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{self.process.args} has ended"
        return line

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process.stdout.close()  # type: ignore[union-attr]


class Host:
    """A far end: a network card with boards on it."""

    def __init__(self, card: str) -> None:
        self.program = Program("unshare", "--net", sys.executable, str(FOLDER / "far.py"), card)

    def __call__(self, do: str, /, **options: Any) -> Any:
        return self.program.ask(json.dumps([do, options]))


class Lan:
    """The near end, so many far ends, and the radio between them.

    Attributes
    ----------
    hosts : list of Host
        Card 0 is the near end, card i + 1 is ``hosts[i]``.
    """

    def __init__(self, hosts: int = 1) -> None:
        self.hosts: list[Host] = []
        self._radio: Program | None = None
        self._number = hosts

    def __enter__(self) -> Self:
        ip("link", "set", "lo", "up")
        names = ["near", *(f"far{number}" for number in range(self._number))]
        cards = [new_card(name) for name in names]
        try:
            self._radio = Program(
                sys.executable, str(FOLDER / "radio.py"), *map(str, cards), pass_fds=tuple(cards)
            )
        finally:
            for card in cards:
                os.close(card)
        self.air()
        self.hosts = [Host(name) for name in names[1:]]
        for name, host in zip(names[1:], self.hosts, strict=True):
            assert host.program.line() == "here\n"
            ip("link", "set", name, "netns", str(host.program.process.pid))
            host("up")
        ip("address", "add", f"{NEAR}/24", "dev", "near")
        ip("link", "set", "near", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._radio is not None:
            self._radio.end()
        for host in self.hosts:
            host.program.end()

    def air(self, **settings: Any) -> dict[str, int]:
        """Set how the radio carries from now on; what is not named is as good as can be."""
        assert self._radio is not None
        return self._radio.ask(json.dumps(settings))  # type: ignore[no-any-return]

    def counted(self) -> dict[str, int]:
        """Give what became of the frames so far."""
        assert self._radio is not None
        return self._radio.ask("")  # type: ignore[no-any-return]
