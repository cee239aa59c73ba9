"""Programs nobody here wrote, kept running while a test looks at them. No tests here."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from espressoscope.sim import SimulatedCamera, read_strip
from espressoscope.tables.firmware import FAMILIES
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import espressoscope as es

LIMIT_S = 60
NUMBER = 77
"""What the strips of the cameras here say."""
_NOBODY = 65534


def program(*names: str, package: str = "") -> str:
    """Give the path of the first of these programs that is installed; else skip, and say what to install."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip(f"{names[0]} is not installed (Debian: apt-get install {package or names[0]})")


def camera_of(firmware: str, framesize: str = "VGA", fps: float | None = None) -> SimulatedCamera:
    return SimulatedCamera(firmware, framesize=framesize, number=NUMBER, side_delays=False, fps=fps)


def run(*command: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command, capture_output=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL, check=False, **options
    )


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, modest: bool = False, output: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; what it says goes into `log`.

    `modest`: not as root, which some refuse. `output`: what its stdout is, else the log as well.
    """
    options: dict[str, object] = {}
    if modest and hasattr(os, "geteuid") and os.geteuid() == 0:
        options = {"user": _NOBODY, "group": _NOBODY, "extra_groups": [], "env": {**os.environ, "HOME": "/"}}
    with log.open("wb") as said:
        process = subprocess.Popen(  # type: ignore[call-overload]
            command, stdout=output or said, stderr=said, stdin=subprocess.DEVNULL, **options
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
            if process.stdout is not None:
                process.stdout.close()


def listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until somebody listens at a port: by the kernel's table, for some serve one client, once."""

    def listens() -> bool:
        words = log.read_text(errors="replace")[-2000:]
        assert process.poll() is None, f"{process.args} has ended: {words}"
        with open("/proc/net/tcp", encoding="ascii") as table:
            if any(f":{port:04X} 00000000:0000 0A" in line for line in table):
                return True
        with open("/proc/net/tcp6", encoding="ascii") as table:
            return any(f":{port:04X} " in line and " 0A " in line for line in table)

    wait_until(listens, 30, what=f"{process.args} to listen")


def beside(check: Callable[[str], None], families: Sequence[str] = tuple(FAMILIES)) -> None:
    """Do something with the camera of each family, side by side; all that is wrong is told."""
    wrong: list[str] = []

    def one(family: str) -> None:
        try:
            check(family)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            wrong.append(f"{family}: {error}")

    with ThreadPoolExecutor(len(families)) as pool:
        list(pool.map(one, families))
    assert not wrong, "\n".join(wrong)


def parts(stream: bytes) -> list[bytes]:
    """Take the JPEGs out of a multipart stream, by their lengths; one that is cut off is left out."""
    found = []
    for head in re.finditer(rb"(?i)Content-Length: +(\d+)\r\n(?:X-Timestamp: [\d.]+\r\n)?\r\n", stream):
        jpeg = stream[head.end() : head.end() + int(head[1])]
        if len(jpeg) == int(head[1]):
            found.append(jpeg)
    return found


def numbers(frames: Sequence[es.Frame]) -> list[int]:
    """Read the strips: all of the one camera; gives the frames' numbers."""
    readings = [read_strip(frame.image()) for frame in frames]
    assert all(reading is not None and reading.camera == NUMBER for reading in readings), readings
    return [reading.frame for reading in readings if reading is not None]


def in_a_row(got: Sequence[bytes], camera: SimulatedCamera, least: int) -> None:
    """Check that these are frames of the camera to the byte, from some on, none left out and none twice."""
    sent = [record.jpeg for record in camera.sent]
    assert len(got) >= least, f"{len(got)} frames, {least} were expected"
    assert got[0] in sent, "the first frame was never sent"
    first = sent.index(got[0])
    assert list(got) == sent[first : first + len(got)], "not the camera's bytes, frame by frame"


ON_LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="looks for the listening port in Linux's tables"
)
