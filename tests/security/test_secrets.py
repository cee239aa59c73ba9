"""A password is told to the camera it is for, and to nobody else.

Real commands are run with marked passwords: in addresses of the fleet file, in queries, in what a camera
tells. Everything they print and write is searched, and, while they run, every process list on this machine.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import espressoscope as es
from cli_forks import Forks
from cli_support import Cli, http
from espressoscope.sim import SimulatedCamera
from espressoscope.wire.status import parse_status
from recording_support import jpeg
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "Zq7SeCrEtZ"
USER, TOLD, QUERY = f"{MARK}1", f"{MARK}2", f"{MARK}3"
STATUS = (
    b'{"framesize":5,"quality":12,"cam_name":"locked","lamp":0,"autolamp":0,"sd_card":0,"isStack":"0",'
    b'"ssid":"home","password":"%b","ST_Pass":"%b","min_frame_time":0}' % (TOLD.encode(), TOLD.encode())
)


class Locked:
    """A camera that wants a password, tells those it knows, and streams on the same port."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.at = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        self._listening.settimeout(0.1)
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            request = connection.recv(65536).decode()
            self.asked.append(request)
            if base64.b64encode(f"me:{USER}".encode()).decode() not in request:
                connection.sendall(http(b"no", status="401 Unauthorized"))
            elif "/status" in request:
                body = STATUS.replace(b'"ssid"', b'"stream_url":"http://%b/stream","ssid"' % self.at.encode())
                connection.sendall(http(body, "application/json"))
            elif "/stream" in request:
                self._stream(connection)
            elif "/control" in request:
                connection.sendall(http(b""))
            else:
                connection.sendall(http(jpeg(320, 240, len(self.asked)), "image/jpeg"))

    def _stream(self, connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n"
        )
        number = 0
        while not self._over.wait(0.02):
            number += 1
            body = jpeg(320, 240, number % 8)
            head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body + b"\r\n")

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()


@pytest.fixture(scope="module")
def locked() -> Iterator[Locked]:
    camera = Locked()
    yield camera
    camera.close()


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks | None]:
    with Forks() if Forks.possible() else contextlib.nullcontext() as found:
        yield found


@pytest.fixture
def cli(tmp_path: Path, forks: Forks | None) -> Iterator[Cli]:
    folder = tmp_path / "work"
    folder.mkdir()
    runner = Cli(folder, forks)
    yield runner
    runner.close()


class ProcessLists:
    """Reads the arguments of every process again and again, and notes those that hold the mark."""

    def __init__(self) -> None:
        self.found: set[bytes] = set()
        self.looks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self.looks += 1
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = path.read_bytes()
                    if MARK.encode() in words:
                        self.found.add(words)

    def __enter__(self) -> ProcessLists:
        self._thread.start()
        return self

    def __exit__(self, *trouble: object) -> None:
        self._over.set()
        self._thread.join(5)


def written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_passwords_in_no_output_file_or_process_list(cli: Cli, locked: Locked, tmp_path: Path) -> None:
    home = tmp_path / "home"
    variables = {name: str(home / name) for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")}
    fleet = tmp_path / "lab.toml"  # the one place where it belongs
    fleet.write_text(
        f'[cameras.A1]\nurl = "http://me:{USER}@{locked.at}/"\nprofile = "q"\n'
        f'[cameras.B1]\nurl = "http://me:{USER}@{locked.at}/stream?user=x&pwd={QUERY}"\n'
        f'[cameras.gone]\nurl = "http://me:{USER}@127.0.0.1:1/"\n'
        "[profiles.q]\nquality = 12\n"
    )
    variables |= {"ESPRESSOSCOPE_FLEET": str(fleet), "HOME": str(home), "ESPRESSOSCOPE_WIFI_PASSWORD": TOLD}
    commands: list[list[str]] = [
        ["status", "A1"],
        ["status", "A1", "--json"],
        ["set", "A1", "quality=12", "lamp=5"],
        ["snap", "A1", "gone", "-o", "snap"],
        ["stream", "B1", "--frames", "2", "-o", "frames", "--json"],
        ["record", "A1", "B1", "--frames", "4", "-o", "run", "--json"],
        ["timelapse", "A1", "--every", "1s", "--count", "1", "--force", "-o", "lapse"],
        ["timelapse", "--status", "lapse"],
        ["info", "run"],
        ["export", "run", "--to", "jpeg", "-o", "files"],
        ["watch", "A1", "B1", "gone", "--seconds", "1"],
        ["fleet", "list", "--check"],
        ["fleet", "profile", "save", "p", "--from", "A1"],
        ["fleet", "apply", "q"],
        ["fleet", "diff"],
        ["doctor", "A1"],
        ["doctor", "gone", "--json"],
        ["identify", "A1"],
        ["view", "A1"],
        ["wifi", "A1", "--ssid", "lab", "--timeout", "1"],
    ]
    afterwards = ("info", "export")
    said = ""
    ends: dict[str, list[int]] = {}
    with ProcessLists() as lists:
        for later in (False, True):
            running = [
                (words[0], cli.start(*words, *([] if words[0] == "fleet" else ["--verbose"]), env=variables))
                for words in commands
                if (words[0] in afterwards or "--status" in words) is later
            ]
            for name, process in running:
                result = process.finish(90)
                ends.setdefault(name, []).append(result.code)
                assert result.code != 2, result  # a command that is not one says nothing secret either
                said += result.out + result.err
    assert ends["record"] == ends["timelapse"][:1] == ends["export"] == [0], said[-3000:]
    assert ends["status"] == [0, 0], said[-3000:]
    assert ends["stream"] == ends["info"] == [0], said[-3000:]
    assert ends["fleet"] == [1, 0, 1, 0], said[-3000:]  # one is away, another is a stream only
    assert any(f"pwd={QUERY}" in request for request in locked.asked)
    assert lists.looks > 10
    assert not lists.found
    assert MARK not in said
    for folder in (cli.folder, home):
        for path in written(folder):
            assert MARK not in path.name
            assert MARK.encode() not in path.read_bytes(), path
    assert len(written(cli.folder)) > 10
    text = fleet.read_text()
    assert text.count(MARK) == 4  # a profile that was taken brings none in, and none went
    assert "[profiles.p]" in text


def test_a_password_on_the_command_line_is_not_said_or_handed_on(cli: Cli, tmp_path: Path) -> None:
    """`view` opens a program of its own: that gets addresses where nobody else can read them."""
    address = f"http://me:{USER}@127.0.0.1:1/x?pwd={QUERY}"
    result = cli.run("view", address, "127.0.0.1:2")
    assert result.code == 1
    assert MARK not in result.out + result.err
    assert "espressoscope watch 127.0.0.1:2" in " ".join(result.err.split())
    seen = tmp_path / "seen"
    # In place of Python and its napari: what writes down what it was given.
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {seen}.args\ncat > {seen}.stdin\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    program = (
        "import sys; sys.executable = sys.argv[1]\n"
        "from espressoscope.cli.window import open_napari\n"
        "raise SystemExit(open_napari(sys.stdin.read().split()))"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(script)], input=address.encode(), check=True, timeout=30,
        env={**os.environ, "PYTHONPATH": str(Path(es.__file__).parent.parent)},
    )  # fmt: skip
    assert MARK not in Path(f"{seen}.args").read_text()
    assert json.loads(Path(f"{seen}.stdin").read_text()) == [address]


def test_what_cameras_tell_of_passwords_is_not_passed_on() -> None:
    told: dict[str, Any] = {
        "password": "x1", "ssid": "lab", "ST_Pass": "1234", "ftp_pwd": "y", "ota_password": "z", "psk": "",
        "pwdn": "32", "bypass": "1", "pass_through": 1, "user": "me", "AP_Pass": "", "a": {"Auth_Pass": "w"},
        "ap_password": 12345678, "passwords": ["one", 2, "2048"], "wpa_key": "k", "key_frames": 3,
        "secret": True, "video": "rtsp://me:x1@10.0.0.9/live?at=a@b",
    }  # fmt: skip
    status = parse_status(json.dumps(told).encode())
    assert {key for key, value in status.items() if value == "***"} == {
        "password", "ST_Pass", "ftp_pwd", "ota_password", "a.Auth_Pass", "ap_password", "passwords.0",
        "passwords.2", "wpa_key",
    }  # fmt: skip
    assert status["video"] == "rtsp://***@10.0.0.9/live?at=a@b"
    broken = parse_status(b'{"password":12345678,"ap_pass":87654321,"fps":')
    assert (broken["password"], broken["ap_pass"]) == ("***", "***")
    assert (status["pwdn"], status["bypass"], status["AP_Pass"], status["ssid"]) == (32, 1, "", "lab")


def test_an_error_that_is_printed_or_pickled_has_no_password() -> None:
    import pickle
    import traceback

    with pytest.raises(es.CameraError) as caught:
        es.Camera(f"http://me:{USER}@127.0.0.1:1/x?pwd={QUERY}").open()
    shown = "".join(traceback.format_exception(caught.value))
    assert MARK not in "".join(line for line in shown.splitlines() if "es.Camera(f" not in line)
    assert MARK.encode() not in pickle.dumps(caught.value)


def test_a_camera_says_no_password_when_it_is_looked_at() -> None:
    """Also where programs print every attribute: napari's, Jupyter's and a debugger's."""
    with SimulatedCamera(side_delays=False) as camera:
        address = camera.url.replace("//", f"//me:{USER}@")
        with es.Camera(address) as opened, es.Fleet([address]) as fleet:
            frame = opened.snap()
            looked = (opened, opened.info, opened.stats, opened.settings, frame, fleet, *fleet)
            for each in looked:
                assert MARK not in repr(each) + str(each)
            wait_until(lambda: fleet.stats, 10)
            assert MARK not in repr(fleet.stats)
