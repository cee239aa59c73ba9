"""Clients nobody here wrote read the simulator of every family: from curl to a browser.

Frames are compared with what the camera sent: to the byte where the client keeps JPEGs, else by the strips.
Motion, which is a server as well, is in `test_servers.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from cli_support import http, server
from espressoscope.sim import read_strip
from espressoscope.tables.firmware import FAMILIES
from strangers.relays import NUMBER, beside, camera_of, in_a_row, parts, program, run, running
from support import wait_until

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from espressoscope.sim import SimulatedCamera

# --- curl


def test_curl_reads_status_and_picture(tmp_path: Path) -> None:
    curl = program("curl")
    with camera_of("matchboxscope") as camera:
        status = json.loads(run(curl, "-sf", camera.url + "/status").stdout)
        assert status["cam_name"] == "Matchboxscope"
        picture = tmp_path / "capture.jpg"
        assert run(curl, "-sf", "-o", str(picture), camera.url + "/capture").returncode == 0
        assert picture.read_bytes() == camera.captured[-1].jpeg
        assert run(curl, "-sf", camera.url + "/control?var=autofocus&val=0;0;5").returncode == 0
        assert camera.requests[-1] == "GET /control?var=autofocus&val=0;0;5 HTTP/1.1"
        assert run(curl, "-sf", camera.url + "/nothing").returncode == 22


def test_curl_reads_the_streams() -> None:
    curl = program("curl")

    def check(firmware: str) -> None:
        with camera_of(firmware) as camera:
            # Chunks are taken off by curl.
            got = parts(run(curl, "-sN", "--max-time", "3", camera.stream_url).stdout)
            assert len(got) >= 3, f"{len(got)} frames"
            assert got == [record.jpeg for record in camera.sent[: len(got)]]

    beside(check)


# --- ffmpeg


def test_ffmpeg_decodes_the_streams() -> None:
    ffmpeg = program("ffmpeg")

    def check(firmware: str) -> None:
        with camera_of(firmware) as camera:
            done = run(
                *(ffmpeg, "-v", "error", "-i", camera.stream_url, "-frames:v", "6", "-vsync", "passthrough"),
                *("-f", "rawvideo", "-pix_fmt", "gray", "-"),
            )
        assert done.returncode == 0, done.stderr
        assert not done.stderr, done.stderr
        frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 480, 640)
        assert [read_strip(frame) for frame in frames] == [(NUMBER, number) for number in range(6)]

    beside(check)


def test_ffprobe_recognises_the_stream() -> None:
    ffprobe = program("ffprobe", package="ffmpeg")
    with camera_of("matchboxscope") as camera:
        done = run(ffprobe, "-v", "error", "-show_streams", "-of", "json", camera.stream_url)
        stream = json.loads(done.stdout)["streams"][0]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("mjpeg", 640, 480)
    assert stream["pix_fmt"] == "yuvj422p"  # as of the real sensor (esp-who#267)


# --- OpenCV


def test_opencv_reads_the_streams() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

    def check(firmware: str) -> None:
        with camera_of(firmware) as camera:
            video = cv2.VideoCapture(camera.stream_url)
            try:
                assert video.isOpened()
                readings = []
                for _ in range(6):
                    ok, image = video.read()
                    assert ok
                    assert image.shape == (480, 640, 3)
                    readings.append(read_strip(image))
            finally:
                video.release()
        assert readings == [(NUMBER, number) for number in range(6)]

    beside(check)


# --- GStreamer


def test_gstreamer_takes_the_streams_apart(tmp_path: Path) -> None:
    gst = program("gst-launch-1.0", package="gstreamer1.0-tools gstreamer1.0-plugins-good")

    def check(firmware: str) -> None:
        folder = tmp_path / firmware
        folder.mkdir()
        with camera_of(firmware, "QVGA", 10) as camera:
            command = [gst, "-q", "souphttpsrc", f"location={camera.stream_url}", "!", "multipartdemux", "!"]
            command += ["multifilesink", f"location={folder}/%05d.jpg"]
            with running(command, tmp_path / f"{firmware}.log"):
                wait_until(lambda: len(list(folder.iterdir())) > 8, 30, what="eight files")
            got = [file.read_bytes() for file in sorted(folder.iterdir())[:8]]
            assert got[0] == camera.sent[0].jpeg, "the first frame is not the camera's first"
            in_a_row(got, camera, 8)

    beside(check)


# --- VLC


def test_vlc_passes_the_streams_on(tmp_path: Path) -> None:
    """As multipart again; the line's end behind a picture it may take as a part of it."""
    vlc = program("vlc", package="vlc-bin vlc-plugin-base")

    def check(firmware: str) -> None:
        with camera_of(firmware, "QVGA", 10) as camera:
            command = [
                vlc,
                "-I",
                "dummy",
                camera.stream_url,
                "--sout",
                "#standard{access=file,mux=mpjpeg,dst=-}",
            ]
            got = read_from(command, camera, tmp_path / f"{firmware}.log", 8)
            in_a_row([jpeg.removesuffix(b"\r\n") for jpeg in got[:8]], camera, 8)

    beside(check)


def read_from(command: list[str], camera: SimulatedCamera, log: Path, number: int) -> list[bytes]:
    """Give so many JPEGs of the multipart stream that a program writes to its stdout."""
    target = log.with_suffix(".mjpg")
    with target.open("wb") as output, running(command, log, modest=True, output=output.fileno()):
        return wait_until(
            lambda: got if len(got := parts(target.read_bytes())) >= number else None,
            30,
            what=f"{number} frames of {camera.firmware}",
        )


# --- a browser


def test_a_browser_shows_the_streams(tmp_path: Path) -> None:
    chromium = program("chromium", "chromium-browser", "google-chrome")
    cameras = {firmware: camera_of(firmware) for firmware in FAMILIES}

    def late(connection: socket.socket) -> None:
        """Hold the page open until some frames have come: it is photographed when all of it is loaded."""
        connection.recv(65536)
        wait_until(lambda: all(len(camera.sent) > 6 for camera in cameras.values()), 20)
        connection.sendall(http(b"", "text/javascript"))

    with contextlib.ExitStack() as stack:
        at = stack.enter_context(server(late))
        pictures = [
            f'<img src="{stack.enter_context(camera).stream_url}" width="640" height="480">'
            for camera in cameras.values()
        ]
        page = tmp_path / "page.html"
        page.write_text(
            f'<body style="margin:0;line-height:0;width:640px">{"".join(pictures)}'
            f'<script src="http://{at}/late.js"></script></body>'
        )
        shot = tmp_path / "shot.png"
        done = run(
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            "--timeout=20000",
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size=700,{500 * len(FAMILIES)}"),
            *(f"--screenshot={shot}", page.as_uri()),
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert shot.exists(), done.stderr[-2000:]
        whole = np.asarray(Image.open(shot).convert("RGB"))
        for place, (firmware, camera) in enumerate(cameras.items()):
            reading = read_strip(whole[480 * place : 480 * (place + 1), :640])
            assert reading is not None, firmware
            assert reading.camera == NUMBER, firmware
            assert reading.frame in [record.number for record in camera.sent], firmware
            assert reading.frame >= 2, f"{firmware}: no more than the first frames are shown"
