"""A camera, a neighbour on the network, or a file of somebody else's that means harm: what it cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import json
import logging
import re
import shlex
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from cli_support import answering, http
from cli_support import server as serving
from espressoscope.discovery import mdns
from espressoscope.model import CameraInfo
from espressoscope.recording.run_folder import safe_folder_name
from espressoscope.sim import SimulatedCamera
from espressoscope.timelapse.hook import Alarm, words_of
from espressoscope.timelapse.ledger import Line
from recording_support import jpeg
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS = b'{"framesize":8,"quality":12,"cam_name":"c","lamp":0,"isStack":"0"}'
MB = 1 << 20


class Memory:
    """How much more memory this program comes to have than at first, at most.

    Of Linux's own count, begun anew: other tests, and what is made ready here, have had theirs before.
    """

    def __init__(self) -> None:
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError as error:
            pytest.skip(f"the system does not count the most memory anew ({error})")
        self.before = self._status("VmRSS")

    @staticmethod
    def _status(name: str) -> float:
        found = re.search(rf"^{name}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024

    @property
    def more_mb(self) -> float:
        return self._status("VmHWM") - self.before


@contextlib.contextmanager
def counting_listener(host: str) -> Iterator[tuple[int, list[bytes]]]:
    """Listen at another address; gives the port and what was sent there."""
    listening = socket.create_server((host, 0))
    listening.settimeout(0.05)
    heard: list[bytes] = []
    over = threading.Event()

    def accept() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    heard.append(connection.recv(4096))

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listening.getsockname()[1], heard
    finally:
        over.set()
        thread.join()
        listening.close()


# ---- a camera ------------------------------------------------------------------------------------


def test_no_answer_leads_to_another_host_or_hands_the_password_on() -> None:
    """Redirects and stream_url of another host: nobody is asked there, and so nobody gets the password."""
    with counting_listener("127.0.0.2") as (port, heard):
        elsewhere = f"http://127.0.0.2:{port}/".encode()

        def redirect(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % elsewhere)

        for path in ("", "/cam"):
            with serving(redirect) as at, pytest.raises(es.CameraError):
                es.Camera(f"http://me:secret@{at}{path}").open()

        def lying(connection: socket.socket) -> None:
            asked = connection.recv(65536)
            if b"/status" in asked:
                body = STATUS.replace(b'"lamp"', b'"stream_url":"%b","lamp"' % elsewhere)
                connection.sendall(http(body, "application/json"))
            else:
                connection.sendall(http(jpeg(320, 240), "image/jpeg"))

        with serving(lying) as at, es.Camera(f"http://me:secret@{at}") as camera:
            assert camera.info.stream_url is not None
            assert "127.0.0.2" not in camera.info.stream_url
            camera.snap()
            with pytest.raises(es.CameraError):
                next(iter(camera.stream(timeout=1)))
        assert heard == []


def test_a_compressed_answer_is_never_unpacked() -> None:
    """Some kilobytes that would be 64 MB stay what they are."""
    bomb = gzip.compress(bytes(64 * MB))
    assert len(bomb) < MB
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(bomb) + bomb)

    memory = Memory()
    with serving(answer) as at, pytest.raises(es.CameraError):
        es.Camera(at).open()
    assert memory.more_mb < 30
    for chunked in (b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: gzip\r\n"):
        reply = answering(head + chunked + b"\r\n")
        with serving(reply) as at, pytest.raises(es.CameraError):
            es.Camera(at).open()


@pytest.mark.parametrize("what", ["endless part", "endless head", "headers", "tiny parts", "boundaries"])
def test_a_stream_without_end_costs_bounded_memory(what: str) -> None:
    """Two seconds of each, as fast as this machine sends them: far more than may be kept."""
    begin = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=bb\r\n\r\n--bb\r\n"
    first, again = {
        "endless part": (begin + b"Content-Type: image/jpeg\r\n\r\n\xff\xd8", bytes(MB)),
        "endless head": (begin + b"X: ", b"x" * MB),
        "headers": (begin, b"A: b\r\n" * (MB // 6)),
        "tiny parts": (begin, b"Content-Length: 4\r\n\r\n\xff\xd8\xff\xd9\r\n--bb\r\n" * (MB // 33)),
        "boundaries": (begin, b"--bb\r\n" * (MB // 6)),
    }[what]
    sent = 0

    def stream(connection: socket.socket) -> None:
        nonlocal sent
        asked = connection.recv(65536)
        if b"/stream" not in asked:
            connection.sendall(http(b"no", status="404 Not Found"))
            return
        connection.sendall(first)
        while sent < 400:
            connection.sendall(again)
            sent += 1

    memory = Memory()
    with (
        serving(stream) as at,
        contextlib.suppress(es.CameraError),  # some are refused when they are opened
        es.Camera(f"http://{at}/stream") as camera,
    ):
        end = time.monotonic() + 2
        while sent < 400 and time.monotonic() < end:
            with contextlib.suppress(es.CameraError):
                camera.latest(timeout=0.5)
    assert sent  # it was listened to
    # A picture may grow to 16 MB, in a buffer and as a frame; all else is thrown away as it comes.
    assert memory.more_mb < (80 if what == "endless part" else 25)


# ---- a neighbour ---------------------------------------------------------------------------------


def test_a_flood_of_announcements_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names without end, of hosts without end: so many are asked about at once, and so many told in all."""
    from zeroconf import ServiceStateChange

    class Answer:
        """What such a neighbour answers: each name is another host's."""

        port, server, properties = 80, "", {}

        def __init__(self, service_type: str, name: str) -> None:
            self.host = ipaddress.IPv4Address("10.0.0.0") + int(name.partition(".")[0][1:])

        async def async_request(self, zeroconf: object, timeout_ms: int) -> bool:
            return True

        def ip_addresses_by_version(self, version: object) -> list[ipaddress.IPv4Address]:
            return [self.host]

    async def flood() -> tuple[int, int]:
        told: list[mdns.Announced] = []
        lookups = mdns._Lookups([ipaddress.IPv4Network("10.0.0.0/8")], told.append)
        waiting = 0
        for number in range(5 * mdns.MOST_ANNOUNCED):
            name = f"x{number}._http._tcp.local."
            lookups.changed(object(), "_http._tcp.local.", name, ServiceStateChange.Added)  # type: ignore[arg-type]
            waiting = max(waiting, len(lookups._tasks))
            if number % (2 * mdns.MOST_ANNOUNCED) == 0:
                await asyncio.wait(lookups._tasks)  # then there is room for more
        await asyncio.wait(lookups._tasks)
        await lookups.cancel()
        return waiting, len(told)

    monkeypatch.setattr("zeroconf.asyncio.AsyncServiceInfo", Answer)
    assert asyncio.run(flood()) == (mdns.MOST_ANNOUNCED, mdns.MOST_ANNOUNCED)


# ---- names and files of others -------------------------------------------------------------------

NASTY = (
    "../../../etc/passwd", "/etc/passwd", "..", ".", "", "a\0b", "C:\\x", "con", "nul.txt", "\x1b]0;x\x07",
    "-rf", "~/x", "$(touch x)", "`x`", "a/b", "\u202egnp.exe", "x" * 400, "\ud800", ".hidden", "A1.", "a\nb",
    "%2e%2e%2f", "aux", "run.json", "frames.csv",
)  # fmt: skip


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_names_of_cameras_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    from espressoscope.lab.names import check_name, free_name

    folder = safe_folder_name(name, [])
    assert Path(folder).name == folder
    assert folder not in ("", ".", "..")
    assert folder.isprintable()
    assert not folder.startswith(("-", "."))
    assert len(folder.encode()) < 200
    inside = tmp_path / "run" / folder
    inside.mkdir(parents=True)
    assert inside.resolve().parent == (tmp_path / "run").resolve()
    chosen = free_name(CameraInfo(name, "http://10.0.0.1", None, None, "unknown", "scan"), ())
    assert check_name(chosen) == chosen


def test_an_alarm_is_told_what_cameras_say_and_never_runs_it(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("a shell script")
    script = tmp_path / "with blank" / "tell.sh"
    script.parent.mkdir()
    script.write_text(
        '#!/bin/sh\nprintf "%s|" "$@" "$ESPRESSOSCOPE_CAMERA" "$ESPRESSOSCOPE_REASON" > "$0.log"\n'
    )
    script.chmod(0o755)
    alarm = Alarm(words_of(f"{shlex.quote(str(script))} $HOME '; touch x' `id`"), tmp_path)
    said = f"$(touch {tmp_path}/owned); touch {tmp_path}/owned\n\x1b[2J`id`"
    alarm.missed(said, [Line(0, 0, "missed", reason=said)], 1)
    alarm.close()
    told = Path(f"{script}.log").read_text()
    assert told.startswith("$HOME|; touch x|`id`|$(touch ")
    assert "\x1b" not in told
    assert "\n" not in told
    assert not (tmp_path / "owned").exists()
    assert (alarm.called, alarm.failed) == (1, 0)


def test_links_in_a_run_do_not_lead_writing_elsewhere(tmp_path: Path) -> None:
    """A run from somebody else, with links in place of its files: repair writes into none of them."""
    if sys.platform == "win32":
        pytest.skip("links need rights there")
    from fuzz.segment import written

    outside = tmp_path / "mine"
    outside.write_bytes(b"precious")
    run = tmp_path / "run"
    (run / "A1").mkdir(parents=True)
    (run / "A1" / "00000.ome.tif").write_bytes(written(4, linked=2, end=False))
    for name in ("run.json", "A1/frames.csv", "A1/00001.ome.tif"):
        (run / name).symlink_to(outside)
    with pytest.raises(es.RecordingError, match="is a link"):
        es.repair_run(run)
    assert outside.read_bytes() == b"precious"
    (run / "A1" / "frames.csv").unlink()
    (run / "A1" / "00001.ome.tif").unlink()
    es.repair_run(run)
    assert outside.read_bytes() == b"precious"
    assert not (run / "run.json").is_symlink()


def test_nothing_of_ours_runs_what_a_file_or_a_camera_says() -> None:
    """No pickle, no eval, no YAML, no shell: in the whole package, but for the user's own function."""
    forbidden = re.compile(
        r"\b(?:pickle|marshal|shelve|yaml)\b|\beval\(|\bexec\(|os\.system|os\.popen|shell=True|__import__\("
    )
    found = []
    for path in sorted((REPO / "src").rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            code = line.partition("#")[0]
            if forbidden.search(code) and "``" not in code:
                found.append(f"{path.name}:{number}: {line.strip()}")
    assert not found


def test_nothing_but_the_simulator_listens() -> None:
    """Nobody can connect to what has no port; announcements are heard by zeroconf, while a search lasts."""
    opens = re.compile(r"\.listen\(|\b(?:create_server|start_server|TCPServer|HTTPServer)\b")
    source = REPO / "src" / "espressoscope"
    found = {
        path.relative_to(source).as_posix(): line.strip()
        for path in sorted(source.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if opens.search(line.partition("#")[0])
    }
    assert "sim/sockets.py" in found
    others = {path: line for path, line in found.items() if not path.startswith("sim/")}
    assert set(others) == {"discovery/search.py"}, others
    assert "mdns.listen(" in others["discovery/search.py"]


def test_the_log_cannot_be_made_to_speak_to_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    """Neither its name nor what it sends instead of pictures and streams, in the log or in errors."""
    name = b'"\\u001b]0;x\\u0007\\u202eevil\\nERROR forged"'

    def answer(connection: socket.socket) -> None:
        asked = connection.recv(65536)
        if b"/status" in asked:
            told = b'%b,"stream_url":"http://127.0.0.1:%d/stream"' % (name, connection.getsockname()[1])
            connection.sendall(http(STATUS.replace(b'"c"', told), "application/json"))
        elif b"/stream" in asked:
            connection.sendall(http(b"\x1b[2J\n", "text/\x1b[2Jhtml"))
        else:
            connection.sendall(http(b"\x1b[2J\n", "text/\x1b[2Jhtml", status="500 \x1b[2JNo\x9b2J"))

    told = []
    with caplog.at_level(logging.DEBUG, "espressoscope"), serving(answer) as at, es.Fleet([at]) as fleet:
        camera = fleet[fleet.names[0]]
        for ask in (camera.snap, lambda: next(iter(camera.stream(timeout=1)))):
            with pytest.raises(es.CameraError) as caught:
                ask()
            told.append(str(caught.value))
        told += [camera.info.name, *fleet.names]
    logged = [logging.Formatter().format(record) for record in caplog.records]
    assert any("instead of a stream" in text for text in logged), logged
    for text in (*logged, *told):
        assert "\nERROR" not in text, ascii(text)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), ascii(text)


def test_settings_that_cameras_tell_are_plain_values() -> None:
    with SimulatedCamera(side_delays=False) as simulated, es.Camera(simulated.url) as camera:
        wait_until(lambda: camera.settings, 5)
        json.dumps({name: setting.value for name, setting in camera.settings.items()})


def test_the_page_names_tests_there_are() -> None:
    page = (REPO / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page))
    assert len(named) > 20
    there = set()
    for path in (REPO / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"def (test_[a-z0-9_]+)", path.read_text(encoding="utf-8")))
    assert named <= there, named - there
