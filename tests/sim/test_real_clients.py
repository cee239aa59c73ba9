"""Clients nobody here wrote read the simulator: curl, ffmpeg, OpenCV, a browser. Strips tell the frames."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from espressoscope.sim import SimulatedCamera, read_strip
from espressoscope.tables.firmware import FAMILIES

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 60


def program(*names: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip(f"{names[0]} is not installed (Debian: apt-get install {names[0]})")


def run(*command: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        command, capture_output=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL, check=False, **options
    )


def camera_of(firmware: str) -> SimulatedCamera:
    return SimulatedCamera(firmware, framesize="VGA", number=77, side_delays=False)


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


@pytest.mark.parametrize("firmware", list(FAMILIES))
def test_curl_reads_the_stream(firmware: str) -> None:
    curl = program("curl")
    with camera_of(firmware) as camera:
        stream = run(curl, "-sN", "--max-time", "1.5", camera.stream_url).stdout  # chunks taken off by curl
        got = []
        for found in re.finditer(rb"Content-Length: (\d+)\r\n(?:X-Timestamp: [\d.]+\r\n)?\r\n", stream):
            jpeg = stream[found.end() : found.end() + int(found[1])]
            if len(jpeg) == int(found[1]):
                got.append(jpeg)
        assert len(got) >= 3
        assert got == [record.jpeg for record in camera.sent[: len(got)]]


# --- ffmpeg


@pytest.mark.parametrize("firmware", list(FAMILIES))
def test_ffmpeg_decodes_the_stream(firmware: str) -> None:
    ffmpeg = program("ffmpeg")
    with camera_of(firmware) as camera:
        done = run(
            *(ffmpeg, "-v", "error", "-i", camera.stream_url, "-frames:v", "6", "-vsync", "passthrough"),
            *("-f", "rawvideo", "-pix_fmt", "gray", "-"),
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 480, 640)
        assert [read_strip(frame) for frame in frames] == [(77, number) for number in range(6)]


def test_ffprobe_recognises_the_stream() -> None:
    ffprobe = program("ffprobe", "ffmpeg")
    with camera_of("matchboxscope") as camera:
        done = run(ffprobe, "-v", "error", "-show_streams", "-of", "json", camera.stream_url)
        stream = json.loads(done.stdout)["streams"][0]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("mjpeg", 640, 480)
    assert stream["pix_fmt"] == "yuvj422p"  # as of the real sensor (esp-who#267)


# --- OpenCV


@pytest.mark.parametrize("firmware", list(FAMILIES))
def test_opencv_reads_the_stream(firmware: str) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
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
    assert readings == [(77, number) for number in range(6)]


# --- a browser


@pytest.mark.parametrize("firmware", ["matchboxscope", "camerawebserver"])
def test_a_browser_shows_the_stream(firmware: str, tmp_path: Path) -> None:
    chromium = program("chromium", "chromium-browser", "google-chrome")
    with camera_of(firmware) as camera:
        page = tmp_path / "page.html"
        page.write_text(
            f'<body style="margin:0"><img src="{camera.stream_url}" width="640" height="480"></body>'
        )
        shot = tmp_path / "shot.png"
        done = run(
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--timeout=4000"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--window-size=700,600"),
            *(f"--screenshot={shot}", page.as_uri()),
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert shot.exists(), done.stderr[-2000:]
        picture = np.asarray(Image.open(shot).convert("RGB"))[:480, :640]
        reading = read_strip(picture)
        assert reading is not None
        assert reading.camera == 77
        assert reading.frame in [record.number for record in camera.sent]
