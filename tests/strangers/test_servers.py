"""Servers nobody here wrote stream into the command line and into `Camera`.

Several get their pictures from a simulated camera and pass them on: what comes out is compared with what the
camera sent, to the byte where they promise that, else by the numbers in the strips.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import simplejpeg

import espressoscope as es
from espressoscope.tables.firmware import FAMILIES
from strangers.relays import (
    ON_LINUX,
    beside,
    camera_of,
    in_a_row,
    listening,
    numbers,
    program,
    running,
)
from support import steady_port, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.sim import SimulatedCamera

pytestmark = ON_LINUX


def stream(url: str, folder: Path, frames: int) -> list[dict[str, object]]:
    """Let the command line take frames into a folder; gives its lines about them."""
    command = [sys.executable, "-m", "espressoscope", "stream", url, "--frames", str(frames)]
    done = subprocess.run(
        [*command, "--json", "-o", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == frames, done.stdout
    return lines


def check(lines: list[dict[str, object]], folder: Path, size: tuple[int, int]) -> None:
    files = sorted(folder.iterdir())
    assert len(files) == len(lines)
    hashes = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert {line["sha256"] for line in lines} == hashes
    assert all((line["width"], line["height"]) == size for line in lines)
    assert all(line["status"] in ("ok", "duplicate") for line in lines)
    assert all(simplejpeg.decode_jpeg(file.read_bytes()).shape[:2] == size[::-1] for file in files)


def frames_of(url: str, number: int) -> list[es.Frame]:
    """Take frames in order; none may be missing, none damaged."""
    with es.Camera(url) as camera, camera.stream(timeout=30) as source:
        frames = [next(source) for _ in range(number)]
        # Those that came before somebody asked for the stream were nobody's.
        assert [frame.sequence - frames[0].sequence for frame in frames] == list(range(number))
        stats = camera.stats
    assert (stats.reconnects, stats.dropped) == (0, 0)
    return frames


def motion_shows(source: es.Camera, camera: SimulatedCamera) -> None:
    """Check that several of the camera's frames come, in order; motion repeats them at its own pace."""
    seen: list[int] = []
    with source.stream(timeout=30) as stream:
        while len(set(seen)) < 4:
            frame = next(stream)
            assert (frame.width, frame.height) == (320, 240)
            seen += numbers([frame])
            assert len(seen) < 200, f"always the same: {seen}"
    assert seen == sorted(seen)
    assert seen[-1] <= camera.sent[-1].number
    assert source.stats.damaged == 0


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return sock.recv(12) == b"HTTP/1.1 200"
    return False


def test_ustreamer(tmp_path: Path) -> None:
    port, log = steady_port(), tmp_path / "log"
    command = [program("ustreamer"), "--host", "127.0.0.1", "--port", str(port)]
    with running([*command, "--device", "/dev/video99", "--persistent"], log) as process:
        listening(port, process, log)
        # Its NO SIGNAL picture comes about once a second.
        lines = stream(f"http://127.0.0.1:{port}/stream?extra_headers=1", tmp_path / "frames", 3)
    check(lines, tmp_path / "frames", (640, 480))


def test_ffmpeg(tmp_path: Path) -> None:
    port, log = steady_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}/cam.mjpg"
    command = [program("ffmpeg"), "-hide_banner", "-loglevel", "error", "-re", "-f", "lavfi"]
    command += ["-i", "testsrc=size=640x480:rate=10", "-c:v", "mjpeg", "-q:v", "5"]
    with running([*command, "-f", "mpjpeg", "-listen", "1", url], log) as process:
        listening(port, process, log)
        lines = stream(url, tmp_path / "frames", 15)
    assert len({line["sha256"] for line in lines}) == 15
    check(lines, tmp_path / "frames", (640, 480))


def test_ffmpeg_passes_a_camera_on(tmp_path: Path) -> None:
    port, log = steady_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}/cam.mjpg"
    with camera_of("camerawebserver", "QVGA", 10) as camera:
        command = [program("ffmpeg"), "-hide_banner", "-loglevel", "error", "-i", camera.stream_url]
        with running([*command, "-c", "copy", "-f", "mpjpeg", "-listen", "1", url], log) as process:
            listening(port, process, log)
            frames = frames_of(url, 15)
        in_a_row([frame.jpeg for frame in frames], camera, 15)


def test_vlc_passes_a_camera_on(tmp_path: Path) -> None:
    """It counts the line's end behind a picture to its bytes: those are stale bytes, as of real boards."""
    port, log = steady_port(), tmp_path / "log"
    kind = "multipart/x-mixed-replace; boundary=7b3cc56e5f51db803f790dad720ed50a"
    way = f"#standard{{access=http{{mime={kind}}},mux=mpjpeg,dst=127.0.0.1:{port}/cam.mjpg}}"
    with camera_of("matchboxscope", "QVGA", 10) as camera:
        command = [program("vlc", package="vlc-bin vlc-plugin-base"), "-I", "dummy", camera.stream_url]
        with running([*command, "--sout", way], log, modest=True) as process:
            listening(port, process, log)
            frames = frames_of(f"http://127.0.0.1:{port}/cam.mjpg", 15)
        assert all(frame.status == "ok" for frame in frames)
        in_a_row([frame.jpeg[: frame.jpeg_end] for frame in frames], camera, 15)
    assert {frame.jpeg[frame.jpeg_end :] for frame in frames} <= {b"", b"\r\n"}


def test_motion_reads_every_family_and_passes_it_on(tmp_path: Path) -> None:
    """Motion decodes and encodes anew: the strips tell the frames, in order, and of the right size."""
    motion, log = program("motion"), tmp_path / "log"
    cameras = {firmware: camera_of(firmware, "QVGA", 10) for firmware in FAMILIES}
    ports = {firmware: steady_port() for firmware in FAMILIES}
    common = (
        "daemon off\nsetup_mode off\nlog_level 4\nwebcontrol_port 0\nmovie_output off\npicture_output off\n"
    )
    common += "width 320\nheight 240\nframerate 20\ntext_left\ntext_right\nstream_localhost on\n"
    common += f"stream_maxrate 30\nstream_quality 90\ntarget_dir {tmp_path}\n"
    try:
        for number, (firmware, camera) in enumerate(cameras.items(), 1):
            own = tmp_path / f"{firmware}.conf"
            url = camera.start().stream_url
            own.write_text(f"camera_id {number}\nnetcam_url {url}\nstream_port {ports[firmware]}\n")
            common += f"camera {own}\n"
        (tmp_path / "motion.conf").write_text(common)
        with running([motion, "-n", "-c", str(tmp_path / "motion.conf")], log) as process:
            for firmware, camera in cameras.items():
                port = ports[firmware]
                listening(port, process, log)
                wait_until(lambda camera=camera: len(camera.sent) >= 5, 30, what=f"motion to read {firmware}")
                # It closes connections without a word until it has a picture to show.
                wait_until(lambda port=port: answers(port), 30, what=f"motion to show {firmware}")
            with es.Fleet([f"http://127.0.0.1:{port}/" for port in ports.values()]) as fleet:
                names = dict(zip(FAMILIES, fleet.names, strict=True))
                beside(lambda firmware: motion_shows(fleet[names[firmware]], cameras[firmware]))
    finally:
        for camera in cameras.values():
            camera.stop()


def test_node(tmp_path: Path) -> None:
    port, log = steady_port(), tmp_path / "log"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    with camera_of("matchboxscope", "QVGA", 20) as camera:
        frames = frames_of(camera.stream_url, 20)
    for number, frame in enumerate(frames):
        (pictures / f"{number:03}.jpg").write_bytes(frame.jpeg)
    script = __file__.replace("test_servers.py", "mjpeg_server.js")
    with running([program("node", package="nodejs"), script, str(port), str(pictures), "20"], log) as process:
        listening(port, process, log)
        got = frames_of(f"http://127.0.0.1:{port}/", 30)
    sent = [frame.jpeg for frame in frames] * 3
    first = sent.index(got[0].jpeg)  # those that came while it was found out what this is were nobody's
    assert [frame.jpeg for frame in got] == sent[first : first + 30]
    assert len(set(numbers(got))) == 20


def test_gstreamer_without_http_is_refused_in_words(tmp_path: Path) -> None:
    """Its only server of such streams sends no HTTP head: no camera, and no endless wait either."""
    port, log = steady_port(), tmp_path / "log"
    gst = program("gst-launch-1.0", package="gstreamer1.0-tools gstreamer1.0-plugins-good")
    with camera_of("matchboxscope", "QVGA", 10) as camera:
        command = [gst, "-q", "souphttpsrc", f"location={camera.stream_url}", "!", "multipartdemux", "!"]
        command += ["multipartmux", "boundary=b", "!", "tcpserversink", "host=127.0.0.1", f"port={port}"]
        with running(command, log) as process:
            listening(port, process, log)
            with pytest.raises(es.CameraError) as caught, es.Camera(f"http://127.0.0.1:{port}/stream"):
                pass
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "HTTP" in str(caught.value), caught.value
