"""Servers nobody here wrote stream through the command line: ustreamer and ffmpeg."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import simplejpeg

from support import steady_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextlib.contextmanager
def running(command: Sequence[str], log: Path, port: int, *, ask: bool) -> Iterator[None]:
    """Run a server until the block ends; ready when it listens (knocked at only if it may be)."""
    program = command[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: listens(port, ask=ask), 15, what=f"{program} to listen")
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def listens(port: int, *, ask: bool) -> bool:
    if ask:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False
    # ffmpeg serves one client, once: look in the kernel's table instead of knocking.
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(f":{port:04X} 00000000:0000 0A" in line for line in table)


def stream(url: str, folder: Path, frames: int) -> list[dict[str, object]]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "espressoscope",
            "stream",
            url,
            "--frames",
            str(frames),
            "--json",
            "-o",
            str(folder),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(lines: list[dict[str, object]], folder: Path, size: tuple[int, int]) -> None:
    files = sorted(folder.iterdir())
    assert len(files) == len(lines)
    hashes = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert {line["sha256"] for line in lines} == hashes
    assert all((line["width"], line["height"]) == size for line in lines)
    assert all(line["status"] in ("ok", "duplicate") for line in lines)
    assert all(simplejpeg.decode_jpeg(file.read_bytes()).shape[:2] == size[::-1] for file in files)


@pytest.mark.skipif(sys.platform != "linux", reason="ustreamer is a Linux program")
def test_ustreamer(tmp_path: Path) -> None:
    port = steady_port()
    command = [
        "ustreamer",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--device",
        "/dev/video99",
        "--persistent",
    ]
    with running(command, tmp_path / "log", port, ask=True):
        # Its NO SIGNAL picture comes about once a second.
        lines = stream(f"http://127.0.0.1:{port}/stream?extra_headers=1", tmp_path / "frames", 3)
    check(lines, tmp_path / "frames", (640, 480))


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the listening port in Linux's tables")
def test_ffmpeg(tmp_path: Path) -> None:
    port = steady_port()
    url = f"http://127.0.0.1:{port}/cam.mjpg"
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi"]
    command += [
        "-i",
        "testsrc=size=640x480:rate=10",
        "-c:v",
        "mjpeg",
        "-q:v",
        "5",
        "-f",
        "mpjpeg",
        "-listen",
        "1",
        url,
    ]
    with running(command, tmp_path / "log", port, ask=False):
        lines = stream(url, tmp_path / "frames", 15)
    assert len({line["sha256"] for line in lines}) == 15
    check(lines, tmp_path / "frames", (640, 480))
