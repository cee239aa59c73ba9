"""Fixtures of the command line's tests."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from cli_forks import Forks
from cli_support import Cli
from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ENDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks | None]:
    """What starts the command line quickly; None where that cannot be."""
    if not Forks.possible():
        yield None
        return
    with Forks() as found:
        yield found


@pytest.fixture
def cli(tmp_path: Path, forks: Forks | None, request: pytest.FixtureRequest) -> Iterator[Cli]:
    """The command line in a folder of its own; for tests marked fresh always started the long way."""
    fresh = request.node.get_closest_marker("fresh") is not None
    runner = Cli(tmp_path, None if fresh else forks)
    yield runner
    runner.close()


@pytest.fixture
def own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give this process its signals back after a test that runs the command line in it."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = {number: signal.getsignal(number) for number in signal.Signals if number.name in _ENDS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def matchbox() -> Iterator[SimulatedCamera]:
    """A simulated Matchboxscope with quick small pictures, shared by the tests of a file."""
    with SimulatedCamera(framesize="QVGA", fps=25, side_delays=False) as camera:
        yield camera


def host_port(camera: SimulatedCamera) -> str:
    return camera.url.removeprefix("http://")


@pytest.fixture
def address(matchbox: SimulatedCamera) -> str:
    """Where that one is."""
    return host_port(matchbox)
